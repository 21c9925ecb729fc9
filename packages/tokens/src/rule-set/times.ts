import { check, notApplicable } from './check.ts'

/** 9999-12-31T23:59:59Z. Later values are mistakes, typically milliseconds. */
export const LAST_SECOND = 253_402_300_799

/** Tests for an RFC 7519 §2 NumericDate: seconds since the epoch, with or without a fraction. */
export const isNumericDate = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value <= LAST_SECOND

/** Rejects a token before its `nbf`, tolerating a slow clock. */
export const notBefore = check('not before', 'RFC 7519 §4.1.5', (verification) => {
  const { latest, times } = verification
  const { nbf } = times
  if (nbf === undefined) return notApplicable
  if (!isNumericDate(nbf)) throw verification.fail('not_before_malformed', 'invalid nbf value')
  if (nbf > latest)
    throw verification.fail('not_active_yet', 'jwt not active', inSeconds(nbf - latest), {
      name: 'NotBeforeError',
      date: new Date(nbf * 1000),
    })
})

/** Rejects an expired token, tolerating a fast clock. */
export const expiry = check('expiry', 'RFC 7519 §4.1.4', (verification) => {
  const { earliest, rules, times } = verification
  const { exp } = times
  if (exp === undefined) {
    if (rules.expiry === 'optional') return notApplicable
    throw verification.fail('expiry_missing', 'jwt exp required')
  }
  if (!isNumericDate(exp)) throw verification.fail('expiry_malformed', 'invalid exp value')
  if (exp < earliest || (exp === earliest && !rules.validAtExpiry))
    throw verification.fail('expired', 'jwt expired', `${inSeconds(earliest - exp)} ago`, {
      name: 'TokenExpiredError',
      expiredAt: new Date(exp * 1000),
    })
})

/** Rejects a token issued in the future, tolerating a slow clock. */
export const issuedAt = check('issued at', 'RFC 7519 §4.1.6', (verification) => {
  const { latest, times } = verification
  const { iat } = times
  if (iat === undefined) return notApplicable
  if (!isNumericDate(iat)) throw verification.fail('issued_at_malformed', 'invalid iat value')
  if (iat > latest)
    throw verification.fail('issued_in_future', 'jwt issued in the future', inSeconds(iat - latest), {
      date: new Date(iat * 1000),
    })
})

/** Formats a duration for a detail, with millisecond precision. */
export const inSeconds = (seconds: number) => `${Math.round(seconds * 1000) / 1000} s`
