import { checkClaims } from './check-claims.ts'
import { checkOrigin } from './check-origin.ts'
import { type Claims, parseCompact, type TokenHeader } from './compact.ts'
import { assertRules, type VerificationRules } from './rules.ts'
import type { Check } from './token-error.ts'
import { Verdict } from './verdict.ts'

/** A token that is good, and why. */
export interface VerifiedToken {
  readonly header: TokenHeader
  readonly claims: Claims
  readonly checks: readonly Check[]
}

/**
 * Verifies a token: its form, its header, its key, its signature, its claims, in this order, and stops at the first
 * thing that is wrong (RFC 7519 §7.2, RFC 8725 §3).
 * @throws {TokenError} when the token is refused, whatever the reason.
 * @throws {TypeError} when the rules themselves are incomplete.
 * @throws what the rules' `keys` throw, when there is no key because its source is down.
 */
export async function verifyToken(token: string, rules: VerificationRules): Promise<VerifiedToken> {
  assertRules(rules)
  const parsed = parseCompact(token)
  const verdict = new Verdict()
  verdict.pass('form')
  await checkOrigin(parsed, rules, verdict)
  checkClaims(parsed.payload, rules, verdict)
  return { header: parsed.header, claims: parsed.payload, checks: verdict.checks }
}
