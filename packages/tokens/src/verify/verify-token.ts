import { verifyBy } from '../rule-set/index.ts'
import { issuerRules, type TokenCheck } from './issuer-rules.ts'
import type { VerificationRules } from './rules.ts'
import type { VerifiedToken } from './token-verification.ts'

/**
 * Verifies a token's form, header, key, signature and claims, in this order, and stops at the first failure
 * (RFC 7519 §7.2, RFC 8725 §3).
 * @param more additional checks, run after all others.
 * @throws {TokenError} if the token is rejected.
 * @throws {TypeError} if the rules are incomplete.
 * @throws what the rules' `keys` throw if the source of keys is unavailable.
 */
export async function verifyToken(
  token: string,
  rules: VerificationRules,
  more?: readonly TokenCheck[],
): Promise<VerifiedToken> {
  return verifyBy(issuerRules(rules, more), token)
}
