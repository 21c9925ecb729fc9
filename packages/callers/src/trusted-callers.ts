import { HttpError } from '@hallpass/service-kit'
import { parseCompact } from '@hallpass/tokens'
import { clientTokens } from './client-tokens.ts'
import { AssertionType, CertificateClients, type ClientCredential, severalMethods } from './oauth/index.ts'
import {
  clientAssertions,
  invalidClient,
  jwtSvids,
  type Proof,
  type ProofOptions,
  serviceAccountTokens,
  trustDomainOf,
} from './proofs.ts'
import { type CertificateTrustEntry, nameOf, type Rights, type TrustEntry } from './trust-file.ts'

/** An authenticated caller and its rights. */
export interface Caller extends Rights {
  /** Verified: a client ID, a Kubernetes service account or a SPIFFE ID. */
  readonly subject: string
}

interface TrustedIssuer {
  readonly name: string
  /** Describes where its keys come from. */
  readonly source: string
  readonly proof: Proof
  readonly rightsOf: ReadonlyMap<string, Rights>
}

/** How OAuth clients can authenticate, for the metadata of the server (RFC 8414 §2). */
export interface ClientAuthentication {
  /** `token_endpoint_auth_methods_supported` */
  readonly methods: readonly string[]
  /** `scopes_supported`: those that any caller may request. */
  readonly scopes: readonly string[]
}

/** The callers of a trusted-callers file. */
export class TrustedCallers {
  /** Keyed by the `iss` of their tokens; for SPIFFE, by the trust domain of the `sub`. */
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>
  readonly #certified: CertificateClients
  readonly #rightsOfCertified: ReadonlyMap<string, Rights>
  readonly authentication: ClientAuthentication

  readonly #described: string

  /** @param previous the callers that these replace; the proofs of unchanged entries, with their keys, are taken over. */
  constructor(entries: readonly TrustEntry[], options: ProofOptions, previous?: TrustedCallers) {
    this.#described = JSON.stringify(entries)
    const certified = entries.filter((entry) => entry.method === 'tls_client_auth')
    this.#issuers = new Map(
      entries.flatMap((entry) => {
        if (entry.method === 'tls_client_auth') return []
        const [, name] = nameOf(entry)
        const key = keyFor(entry)
        const source = sourceOf(entry)
        const known = previous === undefined ? undefined : previous.#issuers.get(key)
        const proof = known?.source === source ? known.proof : proofOf(entry, options)
        return [[key, { name, source, proof, rightsOf: rightsOf(entry) }] as const]
      }),
    )
    this.#certified = new CertificateClients(certified, options.clock)
    this.#rightsOfCertified = new Map(certified.map((entry) => [entry.clientId, rightsIn(entry)]))
    this.authentication = authenticationOf(entries)
  }

  /** The client IDs, issuers and trust domains. */
  get names(): string[] {
    return [...[...this.#issuers.values()].map(({ name }) => name), ...this.#rightsOfCertified.keys()]
  }

  /** Returns whether the same callers have the same rights. */
  equals(other: TrustedCallers | undefined): boolean {
    return other !== undefined && this.#described === other.#described
  }

  /**
   * Authenticates an OAuth client by its assertion or its certificate, and returns the caller.
   * @throws {HttpError} 400 `invalid_request` if the request authenticates its client twice, and as {@link identify}
   */
  async identifyClient({ token, type, clientId, certificates }: ClientCredential): Promise<Caller> {
    if (token === undefined) {
      const certified = clientId ?? ''
      this.#certified.authenticate(certified, certificates)
      return { subject: certified, ...(this.#rightsOfCertified.get(certified) as Rights) }
    }
    if (this.#certified.recognizes(certificates))
      throw severalMethods(['a signed assertion', 'the certificate of a client'])
    if (type !== undefined) checkKind(token, type)
    const caller = await this.identify(token)
    // RFC 7521 §4.2: it must identify the same client; the key ID is the client's name in the tokens that it gets.
    if (clientId !== undefined && clientId !== caller.subject && clientId !== caller.keyId)
      throw invalidClient('client_id is not the client of the assertion')
    return caller
  }

  /**
   * Verifies a caller's token and returns the caller.
   * @throws {HttpError} 401 `invalid_client` if the token is invalid, 403 if the caller is not listed.
   */
  async identify(token: string): Promise<Caller> {
    const trusted = this.#issuers.get(namedIn(token))
    if (!trusted) throw invalidClient('the issuer of the assertion is not trusted')
    const subject = await trusted.proof.subjectOf(token)
    const rights = trusted.rightsOf.get(subject)
    if (!rights)
      throw new HttpError(
        403,
        'caller_not_listed',
        `${subject} is not a trusted caller. Add it to TRUSTED_CALLERS_FILE.`,
      )
    return { subject, ...rights }
  }
}

/** Checks that an assertion is of the kind that the form declares: only a JWT-SVID has a SPIFFE ID as its subject. */
function checkKind(token: string, type: AssertionType): void {
  const isSvid = namedIn(token).startsWith('trust domain ')
  if (isSvid !== (type === AssertionType.jwtSpiffe))
    throw invalidClient(
      `the client_assertion_type of this assertion is ${
        isSvid ? AssertionType.jwtSpiffe : AssertionType.jwtBearer
      }`,
    )
}

const AUTH_METHODS = {
  private_key_jwt: 'private_key_jwt',
  // For the client, it is the same form with a token that the cluster or the provider signed.
  kubernetes: 'private_key_jwt',
  oidc: 'private_key_jwt',
  spiffe: 'spiffe_jwt',
  tls_client_auth: 'tls_client_auth',
} as const

function authenticationOf(entries: readonly TrustEntry[]): ClientAuthentication {
  const rights = entries.flatMap((entry) =>
    entry.method === 'tls_client_auth' ? [entry] : [...rightsOf(entry).values()],
  )
  return {
    methods: [...new Set(entries.map(({ method }) => AUTH_METHODS[method]))],
    scopes: [...new Set(rights.flatMap(({ scopes }) => scopes))].sort(),
  }
}

const rightsIn = ({ keyId, admin, audiences, claims, scopes }: Rights): Rights => ({
  keyId,
  admin,
  audiences,
  claims,
  scopes,
})

/** Returns the unverified issuer, which only selects the keys to verify with. */
function namedIn(token: string): string {
  try {
    const { iss, sub } = parseCompact(token).payload
    const trustDomain = trustDomainOf(sub)
    return trustDomain === undefined ? `iss ${String(iss)}` : `trust domain ${trustDomain}`
  } catch (error) {
    throw invalidClient((error as Error).message, error)
  }
}

/** An entry whose callers authenticate with tokens. */
type TokenTrustEntry = Exclude<TrustEntry, CertificateTrustEntry>

const keyFor = (entry: TokenTrustEntry) =>
  entry.method === 'spiffe' ? `trust domain ${entry.trustDomain}` : `iss ${nameOf(entry)[1]}`

function proofOf(entry: TokenTrustEntry, options: ProofOptions): Proof {
  switch (entry.method) {
    case 'private_key_jwt':
      return clientAssertions(entry, options)
    case 'kubernetes':
      return serviceAccountTokens(entry, options)
    case 'oidc':
      return clientTokens(entry, options)
    case 'spiffe':
      return jwtSvids(entry, options)
  }
}

const rightsOf = (entry: TokenTrustEntry): ReadonlyMap<string, Rights> =>
  new Map(Object.entries(listedIn(entry)).map(([name, listed]) => [name, rightsIn(listed)]))

function listedIn(entry: TokenTrustEntry): Readonly<Record<string, Rights>> {
  switch (entry.method) {
    case 'private_key_jwt':
      return { [entry.clientId]: entry }
    case 'oidc':
      return entry.clients
    default:
      return entry.subjects
  }
}

/** Describes what the proof of an entry depends on, without the rights that the entry grants. */
function sourceOf(entry: TokenTrustEntry): string {
  const { method, jwksFile, jwksUrl, ca } = entry
  const common = [method, jwksFile, jwksUrl, ca, 'tokenFile' in entry ? entry.tokenFile : undefined]
  if (entry.method !== 'oidc') return JSON.stringify(common)
  const { clients, ...rules } = entry
  return JSON.stringify([common, rules, Object.entries(clients).map(([id, { subject }]) => [id, subject])])
}
