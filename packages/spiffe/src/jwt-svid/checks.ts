import { check, fits, LAST_SECOND, type SignatureAlgorithm, type VerificationKey } from '@hallpass/tokens'
import { type JwtAuthority, JwtBundleError } from '../jwt-bundle/index.ts'
import { SpiffeId, SpiffeIdError } from '../spiffe-id/index.ts'
import type { SvidVerification } from './verification.ts'

/** Requires a `kid` to be a string; the key is looked up later. */
export const keyId = check('SVID kid', 'RFC 7515 §4.1.4', (verification: SvidVerification) => {
  const { kid } = verification.header
  if (kid !== undefined && typeof kid !== 'string')
    throw verification.reject('malformed_token', 'kid is not a string')
})

/** Allows no `typ`, or exactly one of the two allowed strings. */
export const type = check('SVID type', 'JWT-SVID §2.3', (verification: SvidVerification) => {
  const { typ } = verification.header
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE')
    throw verification.reject('wrong_typ', 'typ is neither JWT nor JOSE')
})

/** Requires the mandatory claims of a JWT-SVID, each with the right type. */
export const claims = check('SVID claims', 'JWT-SVID §3', (verification: SvidVerification) => {
  const { sub = '', aud = [], exp, nbf, iat } = verification.claims
  if (typeof sub !== 'string') throw verification.reject('malformed_claims', 'sub is not a string')
  const audience = typeof aud === 'string' ? [aud] : aud
  if (!Array.isArray(audience) || audience.some((name) => typeof name !== 'string'))
    throw verification.reject('malformed_claims', 'aud is neither a string nor a list of strings')
  const read = (name: string, value: unknown) => {
    const seconds = wholeSeconds(value)
    if (Number.isNaN(seconds)) throw verification.reject('malformed_claims', `${name} is not a NumericDate`)
    return seconds
  }
  const times = { exp: read('exp', exp), nbf: read('nbf', nbf), iat: read('iat', iat) }
  if (sub === '') throw verification.reject('missing_subject', 'sub is missing')
  if (times.exp === undefined) throw verification.reject('missing_expiry', 'exp is missing')
  verification.audience = audience
  verification.expiresAt = times.exp * 1000
  verification.issuedAt = times.iat === undefined ? undefined : times.iat * 1000
  verification.times = { exp: onCalendar(times.exp), nbf: onCalendar(times.nbf), iat: onCalendar(times.iat) }
})

/** Truncates fractions (RFC 7519 §2), as go-spiffe does. Returns NaN for what a Date cannot represent. */
function wholeSeconds(value: unknown): number | undefined {
  if (value === undefined) return undefined
  return typeof value === 'number' && Math.abs(value) <= 8.64e12 ? Math.trunc(value) : Number.NaN
}

/** Clamps a time to the years 1970 to 9999, which the shared checks accept. */
const onCalendar = (seconds: number | undefined) =>
  seconds === undefined ? undefined : Math.min(Math.max(seconds, 0), LAST_SECOND)

/** Requires a SPIFFE ID as subject. */
export const subject = check('SVID subject', 'JWT-SVID §3.1', (verification: SvidVerification) => {
  try {
    verification.id = SpiffeId.parse(verification.claims.sub as string)
  } catch (cause) {
    if (!(cause instanceof SpiffeIdError)) throw cause
    throw verification.reject(cause.code, cause.message, cause)
  }
})

/**
 * Finds the authorities of the subject's trust domain that match the token's `kid` and fit its algorithm. Without a `kid`,
 * which is optional (JWT-SVID §2.2), every authority that fits the algorithm is a candidate.
 */
export const key = check('SVID key', 'JWT-SVID §5', (verification: SvidVerification) => {
  const { alg, header } = verification
  const kid = header.kid as string | undefined
  const authorities = authoritiesOf(verification)
  const named = kid ? authorities.filter((authority) => authority.kid === kid) : authorities
  if (named.length === 0 && kid) throw verification.reject('authority_missing', 'no authority has this kid')
  const keys = named.flatMap((authority) => keyOf(authority, alg) ?? [])
  if (keys.length === 0)
    throw kid
      ? verification.reject('alg_not_of_key', `the authority is not for ${alg}`)
      : verification.reject('authority_missing', `no authority is for ${alg}`)
  verification.keys = keys
})

function authoritiesOf(verification: SvidVerification): readonly JwtAuthority[] {
  try {
    return verification.rules.bundles.getJwtBundle(verification.id.trustDomain).authorities
  } catch (cause) {
    const known = cause instanceof JwtBundleError || (cause as { code?: string }).code !== undefined
    if (!known) throw cause
    throw verification.reject('bundle_missing', 'no bundle is known for its trust domain', cause)
  }
}

const keyOf = ({ kid, publicKey, alg: only }: JwtAuthority, alg: SignatureAlgorithm) =>
  fits(publicKey, alg) && (only === undefined || only === alg)
    ? ({ kid, alg, publicKey } satisfies VerificationKey)
    : undefined

/** Requires one of the validator's audiences. */
export const audience = check('SVID audience', 'JWT-SVID §3.2', (verification: SvidVerification) => {
  const { audience, rules } = verification
  if (!audience.some((name) => rules.expectedAudience.includes(name)))
    throw verification.reject('wrong_audience', 'aud contains none of the expected audiences')
})
