import { type Clock, ExpiringSet, HttpError, issuerKeys, isTokenRefusal } from '@hallpass/service-kit'
import { JwtBundle, JwtSvidError, parseAndValidate, SpiffeId } from '@hallpass/spiffe'
import { anySubject, remoteKeys, type VerificationRules, verifyToken } from '@hallpass/tokens'
import type { TrustEntry } from './trust-file.ts'

/** How one kind of caller proves who it is. */
export interface Proof {
  /**
   * The subject whom a token proves to be the caller.
   * @throws {HttpError} 401 `invalid_client`
   */
  subjectOf(token: string): Promise<string>
}

export interface ProofOptions {
  /** This service's own name, which the token must be made for. */
  readonly audience: string
  readonly clock: Clock
}

type Entry<M extends TrustEntry['method']> = Extract<TrustEntry, { method: M }>

/** An assertion is made for one call, so a minute covers the slowest one and the clocks' difference. */
const ASSERTION_LIFETIME_SECONDS = 60
/** Kubernetes makes projected tokens of an hour by default and renews them before their end. */
const WORKLOAD_TOKEN_LIFETIME_SECONDS = 3_660
/** Two well-kept machines differ by less. */
const LEEWAY_SECONDS = 5
/** A new key of a caller counts within this time; more often nobody can make us look. */
const KEY_COOLDOWN_MS = 5_000
/** A jti is some random bytes, not a text. */
const MAX_JTI_LENGTH = 128

/** A minute, the longest life of an assertion, at 1,000 calls a second of one client; about 7 MB when full. */
const MAX_ASSERTIONS = 60_000

/**
 * private_key_jwt: a client signs an assertion for one call (RFC 7523 §3; its audience as in draft-ietf-oauth-rfc7523bis).
 * One process remembers which were used; two instances behind a balancer would each accept an assertion once.
 */
export function clientAssertions(entry: Entry<'private_key_jwt'>, { audience, clock }: ProofOptions): Proof {
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
    leewaySeconds: LEEWAY_SECONDS,
    clock,
  }
  return {
    async subjectOf(token) {
      const { sub, jti, exp } = await verified(token, rules)
      if (sub !== clientId) throw invalidClient('iss and sub of the assertion must both be the client id')
      if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH)
        throw invalidClient('the assertion needs a jti')
      if (used.has(jti)) throw invalidClient('the assertion was used before')
      // It is safer to refuse a caller than to forget an assertion.
      if (!used.add(jti, ((exp as number) + LEEWAY_SECONDS) * 1000))
        throw new HttpError(
          503,
          'too_many_assertions',
          'Too many assertions are alive; try again in a minute.',
        )
      return clientId
    },
  }
}

/** A projected token of a Kubernetes service account, shown again and again until the kubelet renews it. */
export function serviceAccountTokens(entry: Entry<'kubernetes'>, { audience, clock }: ProofOptions): Proof {
  const { issuer } = entry
  const rules: VerificationRules = {
    issuer,
    audience,
    audienceList: 'contains',
    subject: anySubject,
    keys: remoteKeys({ issuer, ...issuerKeys(entry), cooldownMs: KEY_COOLDOWN_MS, clock }),
    typ: ['JWT'],
    maxLifetimeSeconds: WORKLOAD_TOKEN_LIFETIME_SECONDS,
    leewaySeconds: LEEWAY_SECONDS,
    clock,
  }
  return {
    async subjectOf(token) {
      const { sub, aud } = await verified(token, rules)
      refuseSeveralAudiences(aud)
      return sub as string
    },
  }
}

/** A JWT-SVID, whose `sub` is a SPIFFE id of the trust domain (JWT-SVID §5). */
export function jwtSvids(entry: Entry<'spiffe'>, { audience, clock }: ProofOptions): Proof {
  const { load } = issuerKeys({ issuer: entry.trustDomain, ...entry })
  let bundle: JwtBundle | undefined
  let loadedAt = Number.NEGATIVE_INFINITY

  /** The last good bundle stays while the next cannot be had. */
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
        const svid = parseAndValidate(token, authorities, audience, { clock, leewaySeconds: LEEWAY_SECONDS })
        refuseSeveralAudiences(svid.audience)
        return svid.id.toString()
      } catch (error) {
        if (error instanceof JwtSvidError) throw invalidClient(error.message, error)
        throw error
      }
    },
  }
}

/** The trust domain of a subject that is a SPIFFE id. */
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

/** Whoever else a token is for could show it here. */
function refuseSeveralAudiences(audience: unknown) {
  if (Array.isArray(audience) && audience.length > 1)
    throw invalidClient('the assertion is for more than one audience')
}

/** RFC 6749 §5.2 */
export const invalidClient = (why: string, cause?: unknown) =>
  new HttpError(401, 'invalid_client', `The caller did not prove who it is: ${why}.`, {
    cause,
    headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
  })
