/** One check that the verifier ran, and the rule that requires it. */
export interface Check {
  readonly name: string
  readonly passed: boolean
  /** E.g. `RFC 7519 §4.1.4`. */
  readonly rule: string
  /** What was found and expected; never the token itself. */
  readonly detail?: string
}

/** jsonwebtoken's error names, which callers of the documented endpoints rely on. */
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

/** Reports a rejected token: `reason` for machines (see the table in the README), `message` for people. */
export class TokenError extends Error {
  override readonly name: TokenErrorName
  readonly reason: TokenErrorReason
  /** Every check that ran, in order; the last one failed. */
  readonly checks: readonly Check[]
  /** When it expired (`TokenExpiredError`). */
  readonly expiredAt?: Date
  /** When it becomes valid (`NotBeforeError`), or its claimed time of issue (`issued_in_future`). */
  readonly date?: Date

  constructor(reason: TokenErrorReason, message: string, options: TokenErrorOptions = {}) {
    super(message)
    this.name = options.name ?? 'JsonWebTokenError'
    this.reason = reason
    this.checks = options.checks ?? []
    if (options.expiredAt) this.expiredAt = options.expiredAt
    if (options.date) this.date = options.date
  }

  /** Returns the part that callers are allowed to see. */
  toJSON(): TokenErrorBody {
    const { name, message, expiredAt, date } = this
    return { name, message, ...(expiredAt ? { expiredAt } : {}), ...(date ? { date } : {}) }
  }
}

/** Stable values: metrics and tests use them, and the README documents them. */
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
  'use_not_allowed',
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
  // Reported by the issuer, and by verifyToken with a status list.
  'key_withdrawn',
  'revoked',
  'suspended',
  'status_missing',
  'status_invalid',
  'status_unavailable',
] as const

export type TokenErrorReason = (typeof TOKEN_ERROR_REASONS)[number]
