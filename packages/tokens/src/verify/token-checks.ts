import { type Algorithm, MAX_KID_LENGTH, type VerificationKey } from '../keys/index.ts'
import { check, inSeconds, notApplicable } from '../rule-set/index.ts'
import { anySubject, optionalSubject } from './rules.ts'
import type { TokenVerification } from './token-verification.ts'

/** Keys, or links to keys, that the sender chooses (RFC 7515 §4.1.2, §4.1.3, §4.1.5, §4.1.6). */
const EMBEDDED_KEYS = ['jku', 'jwk', 'x5u', 'x5c'] as const

/** Rejects a token that contains, or links to, its own verification key. */
export const embeddedKey = check('embedded key', 'RFC 8725 §3.10', (verification: TokenVerification) => {
  const { header, rules } = verification
  if (rules.embeddedKeys === 'ignored') return notApplicable
  const embedded = EMBEDDED_KEYS.find((name) => header[name] !== undefined)
  if (embedded) throw verification.fail('embedded_key', 'jwt header must not contain a key', embedded)
})

/** Plain JWTs and OAuth access tokens (RFC 9068 §2.1); other kinds of tokens have their own types. */
const DEFAULT_TYPES: readonly string[] = ['JWT', 'at+jwt']

/** Requires a `typ` that the rules allow. */
export const type = check('type', 'RFC 8725 §3.11', (verification: TokenVerification) => {
  const { typ } = verification.header
  const { typ: allowed = DEFAULT_TYPES } = verification.rules
  if (allowed.includes(typ as string)) return
  const wanted = mediaType(typ === undefined ? 'JWT' : typ)
  if (!allowed.some((name) => mediaType(name) === wanted))
    throw verification.fail(
      'typ_not_allowed',
      `jwt type invalid. expected: ${allowed.join(' or ')}`,
      String(typ).slice(0, 64),
    )
})

/** Normalizes a media type: case is ignored, and `application/` is optional (RFC 7515 §4.1.9). */
const mediaType = (typ: unknown): string | undefined =>
  typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined

/** Requires a trusted issuer. */
export const issuer = check('issuer', 'RFC 7519 §4.1.1', (verification: TokenVerification) => {
  const { iss } = verification.claims
  const { issuer } = verification.rules
  const known = typeof issuer === 'string' ? iss === issuer : typeof iss === 'string' && issuer.includes(iss)
  if (!known) throw verification.fail('issuer_mismatch', `jwt issuer invalid. expected: ${String(issuer)}`)
})

/**
 * Requires a key of the issuer with this `kid`, for this algorithm. A `kid` can be any string of limited length, because it is
 * only looked up in a map (RFC 8725 §3.10).
 */
export const key = check('key', 'RFC 8725 §3.8', (verification: TokenVerification) => {
  const { alg, claims, header, rules } = verification
  const { kid } = header
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID_LENGTH))
    throw verification.fail('kid_malformed', 'invalid token')
  // Safe casts: earlier checks have verified iss and alg.
  const found = rules.keys(claims.iss as string, kid, alg as Algorithm, () => verification.checkClaims())
  if (found instanceof Promise) return found.then((key) => useKey(verification, key))
  return useKey(verification, found)
})

function useKey(verification: TokenVerification, key: VerificationKey | undefined): undefined {
  if (!key) throw verification.fail('key_unknown', 'invalid signature')
  if (key.alg !== verification.alg)
    throw verification.fail('alg_not_of_key', 'invalid algorithm', `the key is for ${key.alg}`)
  verification.keys = [key]
}

/** Requires this verifier's audience. */
export const audience = check('audience', 'RFC 7519 §4.1.3', (verification: TokenVerification) => {
  const { aud } = verification.claims
  const { audience, audienceList = 'none' } = verification.rules
  if (aud === audience) return
  const message = `jwt audience invalid. expected: ${audience}`
  if (!Array.isArray(aud)) throw verification.fail('audience_mismatch', message)
  if (audienceList === 'none') throw verification.fail('audience_not_single', message, 'a list')
  if (audienceList === 'single' && aud.length !== 1)
    throw verification.fail('audience_not_single', message, 'a list of several')
  if (!aud.every((name) => typeof name === 'string') || !aud.includes(audience))
    throw verification.fail('audience_mismatch', message)
})

/** Requires the expected subject. */
export const subject = check('subject', 'RFC 7519 §4.1.2', (verification: TokenVerification) => {
  const { sub } = verification.claims
  const { subject } = verification.rules
  if (sub === undefined && subject === optionalSubject) return notApplicable
  if (subject === anySubject || subject === optionalSubject) {
    if (typeof sub !== 'string' || sub === '') throw verification.fail('subject_missing', 'jwt sub required')
  } else if (sub !== subject) {
    throw verification.fail('subject_mismatch', `jwt subject invalid. expected: ${subject}`)
  }
})

/** Rejects a token that is valid for too long. Earlier checks have validated both times. */
export const lifetime = check('lifetime', 'RFC 9068 §2.2', (verification: TokenVerification) => {
  const { claims, latest, rules } = verification
  const { exp, iat = latest } = claims as { exp?: number; iat?: number }
  const { maxLifetimeSeconds: longest } = rules
  if (exp === undefined || longest === undefined) return notApplicable
  if (exp - iat > longest)
    throw verification.fail(
      'lifetime_too_long',
      'jwt lifetime too long',
      `${inSeconds(exp - iat)}, at most ${longest} s`,
    )
})
