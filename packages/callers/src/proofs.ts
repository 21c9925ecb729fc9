import { readFile } from 'node:fs/promises'
import {
  type Clock,
  HttpError,
  type IssuerKeys,
  type IssuerKeysOptions,
  issuerKeys,
  isTokenRefusal,
  type UnusableKeys,
} from '@hallpass/service-kit'
import { JwtBundle, JwtSvidError, parseAndValidate, SpiffeId } from '@hallpass/spiffe'
import {
  anySubject,
  remoteKeys,
  type VerificationRules,
  type VerifiedToken,
  verifyToken,
} from '@hallpass/tokens'
import type { TrustEntry } from './trust-file.ts'
import type { UsedAssertions } from './used-assertions.ts'

/** Verifies one kind of caller credential. */
export interface Proof {
  /**
   * Verifies a token and returns its subject, the caller.
   * @throws {HttpError} 401 `invalid_client`
   */
  subjectOf(token: string): Promise<string>
}

export interface ProofOptions {
  /** This service's own name, the required audience of the token. */
  readonly audience: string
  readonly clock: Clock
  /** Tolerated clock skew of the caller, or of the issuer of its tokens. */
  readonly leewaySeconds: number
  readonly usedAssertions: UsedAssertions
  readonly unusable: UnusableKeys
}

export type Entry<M extends TrustEntry['method']> = Extract<TrustEntry, { method: M }>

/** An assertion is made for one call, so a minute is enough for the slowest call and the clock skew. */
const ASSERTION_LIFETIME_SECONDS = 60
/**
 * Projected Kubernetes tokens are valid for an hour by default, JWT-SVIDs of SPIRE for five minutes; both are renewed before
 * they expire. A token that is valid for longer would be as risky as a password.
 */
const WORKLOAD_TOKEN_LIFETIME_SECONDS = 3_660
/**
 * Keys from a URL: a removed one is distrusted within a minute; a new one is accepted after at most five seconds, which also
 * limits how often a token can cause a reload. If the URL cannot be reached for an hour, its keys are distrusted. The limits of
 * a file are in `issuerKeys`: four seconds, one, and ten.
 */
const OF_A_URL = { maxAgeMs: 60_000, cooldownMs: 5_000, maxStaleMs: 3_600_000 }
/** Enough for any random ID. */
const MAX_JTI_LENGTH = 128

/** Verifies private_key_jwt: one assertion per call (RFC 7523 §3; audience as in draft-ietf-oauth-rfc7523bis). */
export function clientAssertions(
  entry: Entry<'private_key_jwt'>,
  { audience, clock, leewaySeconds, usedAssertions, unusable }: ProofOptions,
): Proof {
  const { clientId } = entry
  const rules: VerificationRules = {
    issuer: clientId,
    audience,
    subject: anySubject,
    keys: remoteKeys({ issuer: clientId, ...keySource({ ...entry, issuer: clientId, unusable }), clock }),
    typ: ['JWT', 'client-authentication+jwt'],
    maxLifetimeSeconds: ASSERTION_LIFETIME_SECONDS,
    leewaySeconds,
    clock,
  }
  return {
    async subjectOf(token) {
      const { sub, jti, exp } = await verified(token, (token) => verifyToken(token, rules))
      if (sub !== clientId) throw invalidClient('iss and sub of the assertion must both be the client ID')
      if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH)
        throw invalidClient('the assertion has no valid jti')
      // Twice the tolerance: the clock of another replica, or of the store, can be ahead.
      const until = (exp as number) + 2 * leewaySeconds
      if (!(await usedAssertions.use(clientId, jti, until * 1000)))
        throw invalidClient('the assertion was already used')
      return clientId
    },
  }
}

/** Verifies projected tokens of Kubernetes service accounts, which callers reuse until the kubelet renews them. */
export function serviceAccountTokens(
  entry: Entry<'kubernetes'>,
  { audience, clock, leewaySeconds, unusable }: ProofOptions,
): Proof {
  const { issuer, tokenFile } = entry
  const token = tokenFile === undefined ? undefined : () => tokenIn(tokenFile)
  const rules: VerificationRules = {
    issuer,
    audience,
    audienceList: 'contains',
    subject: anySubject,
    keys: remoteKeys({ issuer, ...keySource({ ...entry, token, unusable }), clock }),
    typ: ['JWT'],
    maxLifetimeSeconds: WORKLOAD_TOKEN_LIFETIME_SECONDS,
    leewaySeconds,
    clock,
  }
  return {
    async subjectOf(token) {
      const { sub, aud } = await verified(token, (token) => verifyToken(token, rules))
      rejectSeveralAudiences(aud)
      return sub as string
    },
  }
}

/** Validates JWT-SVIDs, whose `sub` is a SPIFFE ID of the trust domain (JWT-SVID §5). */
export function jwtSvids(entry: Entry<'spiffe'>, { audience, clock, leewaySeconds }: ProofOptions): Proof {
  const bundle = new CurrentBundle(entry, clock)
  return {
    async subjectOf(token) {
      const authorities = await bundle.current()
      try {
        const svid = parseAndValidate(token, authorities, audience, { clock, leewaySeconds })
        rejectSeveralAudiences(svid.audience)
        const { exp, iat = clock() / 1000 + leewaySeconds } = svid.claims as { exp: number; iat?: number }
        // The specification recommends a short lifetime (JWT-SVID §3.3) but sets no limit.
        if (exp - iat > WORKLOAD_TOKEN_LIFETIME_SECONDS) throw invalidClient('jwt lifetime too long')
        return svid.id.toString()
      } catch (error) {
        if (error instanceof JwtSvidError) throw invalidClient(error.message, error)
        throw error
      }
    },
  }
}

/** The bundle of a trust domain: reloaded when it is due; if that fails, the last valid one for a limited time. */
class CurrentBundle {
  readonly #trustDomain: string
  readonly #source: IssuerKeys & Required<Omit<IssuerKeys, 'loadKey' | 'onUnusable' | 'onFailure'>>
  readonly #clock: Clock
  #bundle: JwtBundle | undefined
  #loadedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #failure: unknown
  #loading: Promise<void> | undefined

  constructor(entry: Entry<'spiffe'>, clock: Clock) {
    this.#trustDomain = entry.trustDomain
    this.#source = keySource({ ...entry, issuer: entry.trustDomain })
    this.#clock = clock
  }

  async current(): Promise<JwtBundle> {
    const { cooldownMs, maxStaleMs } = this.#source
    // A JWT-SVID need not have a `kid` that would tell a new authority, so the bundle is reloaded as often as is allowed.
    if (this.#ageOf(this.#triedAt) > cooldownMs) {
      this.#loading ??= this.#load().finally(() => {
        this.#loading = undefined
      })
      await this.#loading
    }
    if (this.#bundle && this.#ageOf(this.#loadedAt) < maxStaleMs) return this.#bundle
    throw this.#failure
  }

  /** Absolute, so that a clock that is set back does not stop reloading. */
  #ageOf(time: number): number {
    return Math.abs(this.#clock() - time)
  }

  async #load(): Promise<void> {
    try {
      this.#bundle = JwtBundle.ofJwks(this.#trustDomain, await this.#source.load())
      this.#loadedAt = this.#clock()
    } catch (failure) {
      this.#failure = failure
      // Without a bundle every request fails, so the next one tries again.
      if (!this.#bundle) return
    }
    this.#triedAt = this.#clock()
  }
}

/** Returns the source of a trusted issuer's keys, with the limits of a file or of a URL. */
export const keySource = (
  options: IssuerKeysOptions,
): IssuerKeys & Required<Omit<IssuerKeys, 'loadKey' | 'onUnusable' | 'onFailure'>> => ({
  ...OF_A_URL,
  ...issuerKeys(options),
})

/** Reads a token that the kubelet renews. */
async function tokenIn(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new HttpError(503, 'keys_unusable', `The token for the API server cannot be read (${file}).`, {
      cause,
    })
  }
}

/** Returns the trust domain of a subject that is a SPIFFE ID, else undefined. */
export function trustDomainOf(sub: unknown): string | undefined {
  if (typeof sub !== 'string' || !sub.startsWith('spiffe://')) return undefined
  try {
    return SpiffeId.parse(sub).trustDomain.name
  } catch {
    return undefined
  }
}

/** Verifies a token. @throws {HttpError} 401 `invalid_client` with the reason */
export async function verified(token: string, verify: (token: string) => Promise<VerifiedToken>) {
  try {
    return (await verify(token)).claims
  } catch (error) {
    if (isTokenRefusal(error)) throw invalidClient(error.message, error)
    throw error
  }
}

/** Any other audience of the token could replay it here. */
export function rejectSeveralAudiences(audience: unknown) {
  if (Array.isArray(audience) && audience.length > 1)
    throw invalidClient('the assertion has more than one audience')
}

/** Creates the error of a failed client authentication (RFC 6749 §5.2). */
export const invalidClient = (why: string, cause?: unknown) =>
  new HttpError(401, 'invalid_client', `Client authentication failed: ${why}.`, {
    cause,
    headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
  })
