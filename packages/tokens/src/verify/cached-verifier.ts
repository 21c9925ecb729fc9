import { SignatureMemory } from '../rule-set/index.ts'
import { issuerRules } from './issuer-rules.ts'
import type { VerificationRules } from './rules.ts'
import type { VerifiedToken } from './token-verification.ts'

export interface CachedVerifierOptions {
  /** The maximum number of remembered tokens, at 1–2 KB each. */
  readonly maxEntries?: number
}

/** Makes a verifyToken for fixed rules that verifies the signature of each token only once: see {@link SignatureMemory}. */
export function cachedVerifier(
  rules: VerificationRules,
  { maxEntries }: CachedVerifierOptions = {},
): (token: string) => Promise<VerifiedToken> {
  const ruleSet = issuerRules(rules)
  const memory = new SignatureMemory(maxEntries)
  return async (token) => memory.verifyBy(ruleSet, token)
}
