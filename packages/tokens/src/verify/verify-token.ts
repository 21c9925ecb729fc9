import { verifyBy } from '../rule-set/rule-set.ts'
import { issuerRules, type TokenCheck } from './issuer-rules.ts'
import type { VerificationRules } from './rules.ts'
import type { VerifiedToken } from './token-verification.ts'

/**
 * Verifies a token: its form, its header, its key, its signature, its claims, in this order, and stops at the first
 * thing that is wrong (RFC 7519 §7.2, RFC 8725 §3).
 * @param more checks of the caller's own, made after all others.
 * @throws {TokenError} when the token is rejected, whatever the reason.
 * @throws {TypeError} when the rules themselves are incomplete.
 * @throws what the rules' `keys` throw, when there is no key because its source is down.
 */
export async function verifyToken(
  token: string,
  rules: VerificationRules,
  more?: readonly TokenCheck[],
): Promise<VerifiedToken> {
  return verifyBy(issuerRules(rules, more), token)
}
