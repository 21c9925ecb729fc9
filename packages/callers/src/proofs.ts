import { type Clock, ExpiringSet, HttpError, issuerKeys, isTokenRefusal } from '@hallpass/service-kit'
import { JwtBundle, JwtSvidError, parseAndValidate, SpiffeId } from '@hallpass/spiffe'
import { anySubject, remoteKeys, type VerificationRules, verifyToken } from '@hallpass/tokens'
import type { TrustEntry } from './trust-file.ts'

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
}

type Entry<M extends TrustEntry['method']> = Extract<TrustEntry, { method: M }>

/** An assertion is made for one call, so a minute is enough for the slowest call and the clock skew. */
const ASSERTION_LIFETIME_SECONDS = 60
/** Projected Kubernetes tokens are valid for an hour by default and are renewed before they expire. */
const WORKLOAD_TOKEN_LIFETIME_SECONDS = 3_660
/** A caller's new key is accepted after at most this time. Also limits how often a token can cause a reload of the keys. */
const KEY_COOLDOWN_MS = 5_000
/** Enough for any random ID; longer values would waste memory. */
const MAX_JTI_LENGTH = 128

/** One minute, the maximum lifetime of an assertion, at 1,000 calls per second from one client; about 7 MB when full. */
const MAX_ASSERTIONS = 60_000

/**
 * Verifies private_key_jwt: one assertion per call (RFC 7523 §3; audience as in draft-ietf-oauth-rfc7523bis).
 * Each process remembers the assertions used there; two instances behind a balancer would each accept an assertion once.
 */
export function clientAssertions(
  entry: Entry<'private_key_jwt'>,
  { audience, clock, leewaySeconds }: ProofOptions,
): Proof {
  const { clientId } = entry
  const used = new ExpiringSet(clock, MAX_ASSERTIONS)
  const rules: VerificationRules = {
    issuer: clientId,
    audience,
    subject: anySubject,
    keys: remoteKeys({
      issuer: clientId,
      ...issuerKeys({ issuer: clientId, ...entry }),
      cooldownMs: KEY_COOLDOWN_MS,
      clock,
    }),
    typ: ['JWT', 'client-authentication+jwt'],
    maxLifetimeSeconds: ASSERTION_LIFETIME_SECONDS,
    leewaySeconds,
    clock,
  }
  return {
    async subjectOf(token) {
      const { sub, jti, exp } = await verified(token, rules)
      if (sub !== clientId) throw invalidClient('iss and sub of the assertion must both be the client ID')
      if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH)
        throw invalidClient('the assertion has no valid jti')
      if (used.has(jti)) throw invalidClient('the assertion was already used')
      // It is safer to reject a caller than to forget a used assertion.
      if (!used.add(jti, ((exp as number) + leewaySeconds) * 1000))
        throw new HttpError(503, 'too_many_assertions', 'Too many unexpired assertions. Retry in a minute.')
      return clientId
    },
  }
}

/** Verifies projected tokens of Kubernetes service accounts, which callers reuse until the kubelet renews them. */
export function serviceAccountTokens(
  entry: Entry<'kubernetes'>,
  { audience, clock, leewaySeconds }: ProofOptions,
): Proof {
  const { issuer } = entry
  const rules: VerificationRules = {
    issuer,
    audience,
    audienceList: 'contains',
    subject: anySubject,
    keys: remoteKeys({ issuer, ...issuerKeys(entry), cooldownMs: KEY_COOLDOWN_MS, clock }),
    typ: ['JWT'],
    maxLifetimeSeconds: WORKLOAD_TOKEN_LIFETIME_SECONDS,
    leewaySeconds,
    clock,
  }
  return {
    async subjectOf(token) {
      const { sub, aud } = await verified(token, rules)
      rejectSeveralAudiences(aud)
      return sub as string
    },
  }
}

/** Validates JWT-SVIDs, whose `sub` is a SPIFFE ID of the trust domain (JWT-SVID §5). */
export function jwtSvids(entry: Entry<'spiffe'>, { audience, clock, leewaySeconds }: ProofOptions): Proof {
  const { load } = issuerKeys({ issuer: entry.trustDomain, ...entry })
  let bundle: JwtBundle | undefined
  let loadedAt = Number.NEGATIVE_INFINITY

  /** Returns the bundle, reloaded at most every 5 s; the last valid one if reloading fails. */
  async function currentBundle(): Promise<JwtBundle> {
    if (bundle && clock() - loadedAt <= KEY_COOLDOWN_MS) return bundle
    loadedAt = clock()
    try {
      bundle = JwtBundle.ofJwks(entry.trustDomain, await load())
    } catch (error) {
      if (!bundle) throw error
    }
    return bundle
  }

  return {
    async subjectOf(token) {
      const authorities = await currentBundle()
      try {
        const svid = parseAndValidate(token, authorities, audience, { clock, leewaySeconds })
        rejectSeveralAudiences(svid.audience)
        return svid.id.toString()
      } catch (error) {
        if (error instanceof JwtSvidError) throw invalidClient(error.message, error)
        throw error
      }
    },
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

async function verified(token: string, rules: VerificationRules) {
  try {
    return (await verifyToken(token, rules)).claims
  } catch (error) {
    if (isTokenRefusal(error)) throw invalidClient(error.message, error)
    throw error
  }
}

/** Any other audience of the token could replay it here. */
function rejectSeveralAudiences(audience: unknown) {
  if (Array.isArray(audience) && audience.length > 1)
    throw invalidClient('the assertion has more than one audience')
}

/** Creates the error of a failed client authentication (RFC 6749 §5.2). */
export const invalidClient = (why: string, cause?: unknown) =>
  new HttpError(401, 'invalid_client', `Client authentication failed: ${why}.`, {
    cause,
    headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
  })
