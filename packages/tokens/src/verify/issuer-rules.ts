import type { CheckDefinition } from '../rule-set/check.ts'
import { form } from '../rule-set/form.ts'
import { algorithm, critical, signed } from '../rule-set/header.ts'
import type { RuleSet } from '../rule-set/rule-set.ts'
import { signature } from '../rule-set/signature.ts'
import { expiry, issuedAt, notBefore } from '../rule-set/times.ts'
import { assertRules, type VerificationRules } from './rules.ts'
import { audience, embeddedKey, issuer, key, lifetime, subject, type } from './token-checks.ts'
import { TokenVerification, type VerifiedToken } from './token-verification.ts'

/** What is checked of a token of an issuer, in this order: form, header, key, signature, claims (RFC 7519 §7.2, RFC 8725 §3). */
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
  notBefore,
  expiry,
  audience,
  subject,
  issuedAt,
  lifetime,
]

/** A check of a token of an issuer. */
export type TokenCheck = CheckDefinition<TokenVerification>

/**
 * The rule set for tokens of issuers whose keys are known: what verifyToken verifies by.
 * @param more checks of the caller's own, made after all others.
 * @throws {TypeError} when the rules are incomplete.
 */
export function issuerRules(
  rules: VerificationRules,
  more: readonly TokenCheck[] = [],
): RuleSet<VerifiedToken, TokenVerification> {
  assertRules(rules)
  return {
    checks: more.length > 0 ? [...TOKEN_CHECKS, ...more] : TOKEN_CHECKS,
    begin: (token, remembered) => new TokenVerification(token, rules, remembered),
  }
}
