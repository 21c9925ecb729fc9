import { type Clock, HttpError, systemClock } from '@hallpass/service-kit'
import { parseCompact } from '@hallpass/tokens'
import type { CallersConfig } from './config.ts'
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
import type { CertificateTrustEntry, Rights, TrustEntry } from './trust-file.ts'

/** An authenticated caller and its rights. */
export interface Caller extends Rights {
  /** The verified `sub`: a client ID, a Kubernetes service account or a SPIFFE ID. */
  readonly subject: string
}

type AuthenticatedConfig = Extract<CallersConfig, { mode: 'authenticated' }>

interface TrustedIssuer {
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

  constructor(entries: readonly TrustEntry[], options: ProofOptions) {
    const certified = entries.filter((entry) => entry.method === 'tls_client_auth')
    this.#issuers = new Map(
      entries.flatMap((entry) => (entry.method === 'tls_client_auth' ? [] : [trust(entry, options)])),
    )
    this.#certified = new CertificateClients(certified, options.clock)
    this.#rightsOfCertified = new Map(certified.map((entry) => [entry.clientId, rightsIn(entry)]))
    this.authentication = authenticationOf(entries)
  }

  /**
   * Reads a trusted-callers file.
   * @param audience this service's own name, the only allowed audience of a credential.
   * @throws {ConfigError} if the file is missing or invalid.
   */
  static async load(
    config: AuthenticatedConfig,
    audience: string,
    clock: Clock = systemClock,
  ): Promise<TrustedCallers> {
    // Imported only here: the parsers take 9 MB, and an open service has no such file.
    const { readTrustFile } = await import('./trust-file.ts')
    const { leewaySeconds } = config
    return new TrustedCallers(await readTrustFile(config.trustFile, config), {
      audience,
      clock,
      leewaySeconds,
    })
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
  // For the client, it is the same form with a token that the cluster signed.
  kubernetes: 'private_key_jwt',
  spiffe: 'spiffe_jwt',
  tls_client_auth: 'tls_client_auth',
} as const

function authenticationOf(entries: readonly TrustEntry[]): ClientAuthentication {
  const rights = entries.flatMap((entry): Rights[] =>
    'subjects' in entry ? Object.values(entry.subjects) : [entry],
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

function trust(
  entry: Exclude<TrustEntry, CertificateTrustEntry>,
  options: ProofOptions,
): [name: string, trusted: TrustedIssuer] {
  switch (entry.method) {
    case 'private_key_jwt': {
      const { clientId } = entry
      const rightsOf = new Map([[clientId, rightsIn(entry)]])
      return [`iss ${clientId}`, { proof: clientAssertions(entry, options), rightsOf }]
    }
    case 'kubernetes':
      return [
        `iss ${entry.issuer}`,
        { proof: serviceAccountTokens(entry, options), rightsOf: new Map(Object.entries(entry.subjects)) },
      ]
    case 'spiffe':
      return [
        `trust domain ${entry.trustDomain}`,
        { proof: jwtSvids(entry, options), rightsOf: new Map(Object.entries(entry.subjects)) },
      ]
  }
}
