import { SignatureMemory } from '../rule-set/signature-memory.ts'
import { issuerRules } from './issuer-rules.ts'
import type { VerificationRules } from './rules.ts'
import type { VerifiedToken } from './token-verification.ts'

export interface CachedVerifierOptions {
  /** How many valid tokens are remembered; each takes 1–2 KB. */
  readonly maxEntries?: number
}

/** Makes a verifyToken for one set of rules that verifies the signature of a token once: see {@link SignatureMemory}. */
export function cachedVerifier(
  rules: VerificationRules,
  { maxEntries }: CachedVerifierOptions = {},
): (token: string) => Promise<VerifiedToken> {
  const ruleSet = issuerRules(rules)
  const memory = new SignatureMemory(maxEntries)
  return async (token) => memory.verifyBy(ruleSet, token)
}
