/** One check that the verifier made, and the rule that asks for it. */
export interface Check {
  readonly name: string
  readonly passed: boolean
  /** E.g. `RFC 7519 §4.1.4`. */
  readonly rule: string
  /** What was found and what was expected; never the token itself. */
  readonly detail?: string
}

/** The names that jsonwebtoken gave them, because that is what callers of the documented bodies look for. */
export type TokenErrorName = 'JsonWebTokenError' | 'TokenExpiredError' | 'NotBeforeError'

export interface TokenErrorBody {
  readonly name: TokenErrorName
  readonly message: string
  readonly expiredAt?: Date
  readonly date?: Date
}

export interface TokenErrorOptions {
  readonly name?: TokenErrorName
  readonly checks?: readonly Check[]
  readonly expiredAt?: Date
  readonly date?: Date
}

/** A token that is refused: `reason` for machines (see the table in the README), `message` for people. */
export class TokenError extends Error {
  override readonly name: TokenErrorName
  readonly reason: TokenErrorReason
  /** Every check that was made, in order; the last one failed. */
  readonly checks: readonly Check[]
  /** When it expired (`TokenExpiredError`). */
  readonly expiredAt?: Date
  /** When it becomes valid (`NotBeforeError`), or says that it was issued (`issued_in_future`). */
  readonly date?: Date

  constructor(reason: TokenErrorReason, message: string, options: TokenErrorOptions = {}) {
    super(message)
    this.name = options.name ?? 'JsonWebTokenError'
    this.reason = reason
    this.checks = options.checks ?? []
    if (options.expiredAt) this.expiredAt = options.expiredAt
    if (options.date) this.date = options.date
  }

  /** What a caller may see. */
  toJSON(): TokenErrorBody {
    const { name, message, expiredAt, date } = this
    return { name, message, ...(expiredAt ? { expiredAt } : {}), ...(date ? { date } : {}) }
  }
}

/** Stable: metrics count them, tests name them, the README explains them. */
export const TOKEN_ERROR_REASONS = [
  'not_a_string',
  'token_missing',
  'token_too_large',
  'not_compact',
  'encrypted_token',
  'header_too_large',
  'header_malformed',
  'claims_malformed',
  'signature_malformed',
  'signature_missing',
  'alg_not_allowed',
  'alg_not_of_key',
  'critical_header',
  'unencoded_payload',
  'embedded_key',
  'kid_malformed',
  'typ_not_allowed',
  'issuer_mismatch',
  'key_unknown',
  'signature_invalid',
  'not_before_malformed',
  'not_active_yet',
  'expiry_missing',
  'expiry_malformed',
  'expired',
  'audience_mismatch',
  'audience_not_single',
  'subject_mismatch',
  'subject_missing',
  'issued_at_malformed',
  'issued_in_future',
  'lifetime_too_long',
  // Given by an issuer that knows it, not by verifyToken.
  'revoked',
] as const

export type TokenErrorReason = (typeof TOKEN_ERROR_REASONS)[number]
