import type { Claims, TokenHeader } from '../compact/index.ts'
import type { VerificationKey } from '../keys/index.ts'
import { Verification } from '../rule-set/index.ts'
import { type Check, TokenError, type TokenErrorOptions, type TokenErrorReason } from '../token-error.ts'
import type { VerificationRules } from './rules.ts'

/** A valid token, and the checks that it passed. */
export interface VerifiedToken {
  readonly header: TokenHeader
  readonly claims: Claims
  readonly checks: readonly Check[]
}

/** Verifies a JWT against {@link VerificationRules}; failures are {@link TokenError}s. */
export class TokenVerification extends Verification<VerificationRules, VerifiedToken> {
  override replacements(): undefined | Promise<readonly VerificationKey[]> {
    const { alg, claims, header, keys, rules } = this
    const [rejected] = keys
    if (!rejected) return undefined
    return rules.keys
      .replaced?.(claims.iss as string, header.kid as string | undefined, alg, rejected)
      ?.then((key) => (key?.alg === alg ? [key] : []))
  }

  override fail(
    reason: TokenErrorReason,
    message: string,
    detail?: string,
    options: Omit<TokenErrorOptions, 'checks'> = {},
  ): TokenError {
    return new TokenError(reason, message, { ...options, checks: this.checksWithFailure(detail) })
  }

  override result(): VerifiedToken {
    const { header, claims, checks } = this
    return { header, claims, checks }
  }
}
