import { check, notApplicable } from './check.ts'

/** 9999-12-31T23:59:59Z: what comes later is not a date but a mistake, and no Date shows it. */
export const LAST_SECOND = 253_402_300_799

/** RFC 7519 §2 NumericDate: seconds since the epoch, with or without a fraction. */
export const isNumericDate = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value <= LAST_SECOND

/** The token is valid already, on a clock that may be slow. */
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

/** The token has not expired, on a clock that may be fast. */
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

/** The token was not issued in the future, on a clock that may be slow. */
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

/** A length of time for a detail, exact to the millisecond. */
export const inSeconds = (seconds: number) => `${Math.round(seconds * 1000) / 1000} s`
