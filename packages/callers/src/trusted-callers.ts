import { type Clock, HttpError, systemClock } from '@hallpass/service-kit'
import { parseCompact } from '@hallpass/tokens'
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

/** A caller that has proved who it is, and what it may do. */
export interface Caller extends Rights {
  /** The `sub` that proved it: a client's id, a Kubernetes service account, a SPIFFE id. */
  readonly subject: string
}

interface TrustedIssuer {
  readonly proof: Proof
  readonly rightsOf: ReadonlyMap<string, Rights>
}

/** The callers of a trust file. */
export class TrustedCallers {
  /** By the `iss` of what they show, and SPIFFE's by the trust domain of its `sub`. */
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>

  constructor(entries: readonly TrustEntry[], options: ProofOptions) {
    this.#issuers = new Map(entries.map((entry) => trust(entry, options)))
  }

  /**
   * @param audience this service's own name, which a proof must be made for and for nobody else.
   * @throws {ConfigError} when the file cannot be used.
   */
  static async load(path: string, audience: string, clock: Clock = systemClock): Promise<TrustedCallers> {
    // The parsers that it needs weigh 9 MB, and an open development start has no such file.
    const { readTrustFile } = await import('./trust-file.ts')
    return new TrustedCallers(await readTrustFile(path), { audience, clock })
  }

  /**
   * Who signed the token that a caller shows.
   * @throws {HttpError} 401 `invalid_client` when it proves nothing, 403 when nobody listed the caller.
   */
  async identify(token: string): Promise<Caller> {
    const trusted = this.#issuers.get(namedIn(token))
    if (!trusted) throw invalidClient('nobody trusts the issuer of this assertion')
    const subject = await trusted.proof.subjectOf(token)
    const rights = trusted.rightsOf.get(subject)
    if (!rights) throw new HttpError(403, 'caller_not_listed', `${subject} is not among the trusted callers.`)
    return { subject, ...rights }
  }
}

/** Read before anything is verified, and good for nothing but to choose whose keys to verify with. */
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
