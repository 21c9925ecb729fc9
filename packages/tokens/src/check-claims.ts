import type { Claims } from './compact.ts'
import { anySubject, optionalSubject, type VerificationRules } from './rules.ts'
import type { Verdict } from './verdict.ts'

/** 9999-12-31T23:59:59Z: what comes later is not a date but a mistake, and no Date shows it. */
const LAST_SECOND = 253_402_300_799

/** RFC 7519 §2 NumericDate: seconds since the epoch, with or without a fraction. */
export const isNumericDate = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value <= LAST_SECOND

/**
 * Holds the claims of a token whose signature is good against the rules, as of now.
 * @throws {TokenError}
 */
export function checkClaims(claims: Claims, rules: VerificationRules, verdict: Verdict): void {
  const now = (rules.clock ?? Date.now)() / 1000
  const leeway = rules.leewaySeconds ?? 0
  checkNotBefore(claims.nbf, now + leeway, verdict)
  checkExpiry(claims.exp, rules, now - leeway, verdict)
  checkAudience(claims.aud, rules, verdict)
  checkSubject(claims.sub, rules, verdict)
  checkIssuedAt(claims.iat, now + leeway, verdict)
  checkLifetime(
    claims.exp as number | undefined,
    (claims.iat as number | undefined) ?? now + leeway,
    rules,
    verdict,
  )
}

function checkNotBefore(nbf: unknown, latest: number, verdict: Verdict): void {
  if (nbf === undefined) return
  if (!isNumericDate(nbf)) throw verdict.fail('not before', 'not_before_malformed', 'invalid nbf value')
  if (nbf > latest)
    throw verdict.fail('not before', 'not_active_yet', 'jwt not active', inSeconds(nbf - latest), {
      name: 'NotBeforeError',
      date: new Date(nbf * 1000),
    })
  verdict.pass('not before')
}

function checkExpiry(exp: unknown, { expiry }: VerificationRules, earliest: number, verdict: Verdict): void {
  if (exp === undefined) {
    if (expiry === 'optional') return
    throw verdict.fail('expiry', 'expiry_missing', 'jwt exp required')
  }
  if (!isNumericDate(exp)) throw verdict.fail('expiry', 'expiry_malformed', 'invalid exp value')
  if (exp <= earliest)
    throw verdict.fail('expiry', 'expired', 'jwt expired', `${inSeconds(earliest - exp)} ago`, {
      name: 'TokenExpiredError',
      expiredAt: new Date(exp * 1000),
    })
  verdict.pass('expiry')
}

function checkAudience(aud: unknown, rules: VerificationRules, verdict: Verdict): void {
  const { audience, audienceList = 'single' } = rules
  const message = `jwt audience invalid. expected: ${audience}`
  if (Array.isArray(aud)) {
    if (audienceList === 'single') throw verdict.fail('audience', 'audience_not_single', message, 'a list')
    if (!aud.every(isText) || !aud.includes(audience))
      throw verdict.fail('audience', 'audience_mismatch', message)
  } else if (aud !== audience) {
    throw verdict.fail('audience', 'audience_mismatch', message)
  }
  verdict.pass('audience')
}

function checkSubject(sub: unknown, { subject }: VerificationRules, verdict: Verdict): void {
  if (sub === undefined && subject === optionalSubject) return
  if (subject === anySubject || subject === optionalSubject) {
    if (typeof sub !== 'string' || sub === '')
      throw verdict.fail('subject', 'subject_missing', 'jwt sub required')
  } else if (sub !== subject) {
    throw verdict.fail('subject', 'subject_mismatch', `jwt subject invalid. expected: ${subject}`)
  }
  verdict.pass('subject')
}

function checkIssuedAt(iat: unknown, latest: number, verdict: Verdict): void {
  if (iat === undefined) return
  if (!isNumericDate(iat)) throw verdict.fail('issued at', 'issued_at_malformed', 'invalid iat value')
  if (iat > latest)
    throw verdict.fail('issued at', 'issued_in_future', 'jwt issued in the future', inSeconds(iat - latest), {
      date: new Date(iat * 1000),
    })
  verdict.pass('issued at')
}

function checkLifetime(
  exp: number | undefined,
  start: number,
  { maxLifetimeSeconds: max }: VerificationRules,
  verdict: Verdict,
): void {
  if (exp === undefined || max === undefined) return
  const lifetime = exp - start
  if (lifetime > max)
    throw verdict.fail(
      'lifetime',
      'lifetime_too_long',
      'jwt lifetime too long',
      `${inSeconds(lifetime)}, at most ${max} s`,
    )
  verdict.pass('lifetime')
}

const isText = (value: unknown) => typeof value === 'string'

const inSeconds = (seconds: number) => `${Math.round(seconds * 1000) / 1000} s`
