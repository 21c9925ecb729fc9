import { readFile } from 'node:fs/promises'
import { type Clock, HttpError, issuerKeys, isTokenRefusal, systemClock } from '@hallpass/service-kit'
import {
  anySubject,
  type KeyFinder,
  parseCompact,
  remoteKeys,
  type VerificationRules,
  verifyToken,
} from '@hallpass/tokens'
import type { Rights, TrustEntry } from './trust-file.ts'
import { UsedAssertions } from './used-assertions.ts'

/** A caller that has proved who it is, and what it may do. */
export interface Caller extends Rights {
  /** The `sub` that proved it: a client's id, a Kubernetes service account, a SPIFFE id. */
  readonly subject: string
}

/** An assertion is made for one call, so a minute covers the slowest one and the clocks' difference. */
const ASSERTION_LIFETIME_SECONDS = 60
/** Kubernetes makes projected tokens of an hour by default and renews them before their end. */
const WORKLOAD_TOKEN_LIFETIME_SECONDS = 3_660
/** Two well-kept machines differ by less. */
const LEEWAY_SECONDS = 5
/** A new key of a caller counts within this time; more often nobody can make us look. */
const KEY_COOLDOWN_MS = 5_000

interface TrustedIssuer {
  readonly issuer: string
  /** An assertion serves once; a workload's token is shown again and again until it is renewed. */
  readonly once: boolean
  readonly rules: Omit<VerificationRules, 'audience' | 'subject' | 'clock'>
  readonly subjects: ReadonlyMap<string, Rights>
}

/** The callers of a trust file, and how each proves who it is. */
export class TrustedCallers {
  readonly #issuers: ReadonlyMap<string, TrustedIssuer>
  readonly #audience: string
  readonly #clock: Clock
  readonly #used: UsedAssertions

  /** @param audience this service's own name, which the proof must be made for and for nobody else. */
  constructor(entries: readonly TrustEntry[], audience: string, clock: Clock = systemClock) {
    this.#issuers = new Map(
      entries.map((entry) => trustedIssuer(entry, clock)).map((trusted) => [trusted.issuer, trusted]),
    )
    this.#audience = audience
    this.#clock = clock
    this.#used = new UsedAssertions(clock)
  }

  /** @throws {ConfigError} when the file cannot be used. */
  static async load(path: string, audience: string, clock?: Clock): Promise<TrustedCallers> {
    // Its YAML reader and schema take 40 ms and 6 MB, which a service without such a file should not pay.
    const { readTrustFile } = await import('./trust-file.ts')
    return new TrustedCallers(await readTrustFile(path), audience, clock)
  }

  /**
   * Who signed the token that a caller shows.
   * @throws {HttpError} 401 `invalid_client` (RFC 6749 §5.2) when it proves nothing, 403 when nobody listed the caller.
   */
  async identify(token: string): Promise<Caller> {
    const trusted = this.#issuers.get(issuerNamedBy(token))
    if (!trusted) throw invalidClient('nobody trusts the issuer of this assertion')
    const { claims } = await this.#verify(token, trusted)
    if (trusted.once && !this.#isFirstUse(trusted.issuer, claims))
      throw invalidClient('the assertion was used before')
    const subject = claims.sub as string
    const rights = trusted.subjects.get(subject)
    if (!rights) throw new HttpError(403, 'caller_not_listed', `${subject} is not among the trusted callers.`)
    return { subject, ...rights }
  }

  async #verify(token: string, { rules }: TrustedIssuer) {
    try {
      const verified = await verifyToken(token, {
        ...rules,
        audience: this.#audience,
        subject: anySubject,
        clock: this.#clock,
      } as VerificationRules)
      // Workload tokens carry their one audience in a list. A second one could replay the token here.
      if (Array.isArray(verified.claims.aud) && verified.claims.aud.length !== 1)
        throw invalidClient('the assertion is for more than one audience')
      return verified
    } catch (error) {
      if (isTokenRefusal(error)) throw invalidClient(error.message, error)
      throw error
    }
  }

  #isFirstUse(issuer: string, { jti, exp, sub }: Readonly<Record<string, unknown>>): boolean {
    if (typeof jti !== 'string' || jti === '' || jti.length > 128)
      throw invalidClient('the assertion needs a jti')
    if (sub !== issuer) throw invalidClient('iss and sub of the assertion must both be the client id')
    return this.#used.use(issuer, jti, (exp as number) * 1000 + LEEWAY_SECONDS * 1000)
  }
}

/** Read before anything is verified, and good for nothing but to choose whose keys to verify with. */
function issuerNamedBy(token: string): string {
  try {
    return String(parseCompact(token).payload.iss)
  } catch (error) {
    throw invalidClient((error as Error).message, error)
  }
}

function trustedIssuer(entry: TrustEntry, clock: Clock): TrustedIssuer {
  if (entry.method === 'private_key_jwt')
    return {
      issuer: entry.clientId,
      once: true,
      rules: {
        issuer: entry.clientId,
        keys: keysOf(entry.clientId, entry, clock),
        typ: ['JWT', 'client-authentication+jwt'],
        maxLifetimeSeconds: ASSERTION_LIFETIME_SECONDS,
        leewaySeconds: LEEWAY_SECONDS,
      },
      subjects: new Map([[entry.clientId, rightsOf(entry)]]),
    }
  return {
    issuer: entry.issuer,
    once: false,
    rules: {
      issuer: entry.issuer,
      keys: keysOf(entry.issuer, entry, clock),
      typ: ['JWT'],
      audienceList: 'contains',
      maxLifetimeSeconds: WORKLOAD_TOKEN_LIFETIME_SECONDS,
      leewaySeconds: LEEWAY_SECONDS,
    },
    subjects: new Map(Object.entries(entry.subjects)),
  }
}

const rightsOf = ({ keyId, admin, claims, scopes }: Rights): Rights => ({ keyId, admin, claims, scopes })

function keysOf(issuer: string, { jwksFile, jwksUrl, ca }: TrustEntry, clock: Clock): KeyFinder {
  const load =
    jwksFile === undefined
      ? issuerKeys({ issuer, jwksUrl, ca })
      : async () => JSON.parse(await readFile(jwksFile, 'utf8')) as unknown
  return remoteKeys({ issuer, load, cooldownMs: KEY_COOLDOWN_MS, clock })
}

const invalidClient = (why: string, cause?: unknown) =>
  new HttpError(401, 'invalid_client', `The caller did not prove who it is: ${why}.`, {
    cause,
    headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
  })
