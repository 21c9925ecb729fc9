import type { Claims, TokenHeader } from '../compact/index.ts'
import type { VerificationKey } from '../keys/index.ts'
import { type CheckDefinition, makeChecks, type RememberedToken, Verification } from '../rule-set/index.ts'
import { type Check, TokenError, type TokenErrorOptions, type TokenErrorReason } from '../token-error.ts'
import type { VerificationRules } from './rules.ts'

/** A valid token, and the checks that it passed. */
export interface VerifiedToken {
  readonly header: TokenHeader
  readonly claims: Claims
  readonly checks: readonly Check[]
  /** The key that made the signature; the same object for every token while the key is published. */
  readonly key: VerificationKey
}

/** Verifies a JWT against {@link VerificationRules}; failures are {@link TokenError}s. */
export class TokenVerification extends Verification<VerificationRules, VerifiedToken> {
  readonly #claimChecks: readonly CheckDefinition<TokenVerification>[]

  /** @param claimChecks the synchronous checks that {@link checkClaims} makes. */
  constructor(
    token: string,
    rules: VerificationRules,
    remembered?: RememberedToken,
    claimChecks: readonly CheckDefinition<TokenVerification>[] = [],
  ) {
    super(token, rules, remembered)
    this.#claimChecks = claimChecks
  }

  /**
   * Makes the checks of the claims before keys are loaded for this token: one that any key would leave invalid must not cost the issuer a
   * load, or use up those that are allowed. They are made again after the load, which takes time.
   * @throws {TokenError}
   */
  checkClaims(): void {
    const { header, claims, times, alg } = this
    const ahead = Object.assign(new TokenVerification(this.token, this.rules, this.remembered), {
      header,
      claims,
      times,
      alg,
    })
    ahead.checks.push(...this.checks)
    void makeChecks(ahead, this.#claimChecks)
  }

  override replacements(): undefined | Promise<readonly VerificationKey[]> {
    const { alg, claims, header, keys, rules } = this
    const [rejected] = keys
    if (!rejected || !this.#hasValidClaims()) return undefined
    return rules.keys
      .replaced?.(claims.iss as string, header.kid as string | undefined, alg, rejected)
      ?.then((key) => (key?.alg === alg ? [key] : []))
  }

  #hasValidClaims(): boolean {
    try {
      this.checkClaims()
      return true
    } catch (error) {
      if (error instanceof TokenError) return false
      throw error
    }
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
    const { header, claims, checks, key } = this
    return { header, claims, checks, key }
  }
}
