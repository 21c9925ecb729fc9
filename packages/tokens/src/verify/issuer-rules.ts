import {
  algorithm,
  type CheckDefinition,
  critical,
  expiry,
  form,
  issuedAt,
  notBefore,
  type RuleSet,
  signature,
  signed,
} from '../rule-set/index.ts'
import { assertRules, type VerificationRules } from './rules.ts'
import { audience, embeddedKey, issuer, key, lifetime, subject, type } from './token-checks.ts'
import { status } from './token-status.ts'
import { use } from './token-use.ts'
import { TokenVerification, type VerifiedToken } from './token-verification.ts'

/** Checks of the claims that need nothing but the token. */
const CLAIM_CHECKS: readonly CheckDefinition<TokenVerification>[] = [
  notBefore,
  expiry,
  audience,
  subject,
  issuedAt,
  lifetime,
]

/** The checks of verifyToken, in order: form, header, key, signature, claims (RFC 7519 §7.2, RFC 8725 §3). */
export const TOKEN_CHECKS: readonly CheckDefinition<TokenVerification>[] = [
  form,
  algorithm,
  signed,
  critical,
  embeddedKey,
  type,
  issuer,
  key,
  signature,
  ...CLAIM_CHECKS,
  use,
  status,
]

/** A check that can be added to verifyToken's. */
export type TokenCheck = CheckDefinition<TokenVerification>

/**
 * Makes the rule set of verifyToken, for tokens of issuers with known keys.
 * @param more additional checks, run after all others.
 * @throws {TypeError} if the rules are incomplete.
 */
export function issuerRules(
  rules: VerificationRules,
  more: readonly TokenCheck[] = [],
): RuleSet<VerifiedToken, TokenVerification> {
  assertRules(rules)
  return {
    checks: more.length > 0 ? [...TOKEN_CHECKS, ...more] : TOKEN_CHECKS,
    begin: (token, remembered) => new TokenVerification(token, rules, remembered, CLAIM_CHECKS),
  }
}
