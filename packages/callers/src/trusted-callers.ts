import { type Clock, HttpError, systemClock } from '@hallpass/service-kit'
import { parseCompact } from '@hallpass/tokens'
import type { CallersConfig } from './config.ts'
import {
  clientAssertions,
  invalidClient,
  jwtSvids,
  type Proof,
  type ProofOptions,
  serviceAccountTokens,
  trustDomainOf,
} from './proofs.ts'
import type { Rights, TrustEntry } from './trust-file.ts'

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

/** The callers of a trusted-callers file. */
export class TrustedCallers {
  /** Keyed by the `iss` of their tokens; for SPIFFE, by the trust domain of the `sub`. */
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>

  constructor(entries: readonly TrustEntry[], options: ProofOptions) {
    this.#issuers = new Map(entries.map((entry) => trust(entry, options)))
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
    return new TrustedCallers(await readTrustFile(config.trustFile, config), { audience, clock, leewaySeconds })
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

function trust(entry: TrustEntry, options: ProofOptions): [name: string, trusted: TrustedIssuer] {
  switch (entry.method) {
    case 'private_key_jwt': {
      const { clientId, keyId, admin, audiences, claims, scopes } = entry
      const rightsOf = new Map([[clientId, { keyId, admin, audiences, claims, scopes }]])
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
