import { checkClaims } from './check-claims.ts'
import { checkHeader, kidOf } from './check-header.ts'
import { type Claims, type ParsedToken, parseCompact, type TokenHeader } from './compact.ts'
import type { VerificationKey } from './keys.ts'
import { nodeCrypto } from './libraries/node-crypto.ts'
import { assertSpeaks } from './libraries.ts'
import type { TokenLibrary } from './library.ts'
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
  checkClaims(parsed.payload, rules, (rules.clock ?? Date.now)() / 1000, verdict)
  return { header: parsed.header, claims: parsed.payload, checks: verdict.checks }
}

/** Who made the token: header, issuer, key and signature. What it says, and until when, is not looked at yet. */
async function checkOrigin(
  parsed: ParsedToken,
  rules: VerificationRules,
  verdict: Verdict,
): Promise<VerificationKey> {
  const alg = checkHeader(parsed, rules, verdict)
  const issuer = checkIssuer(parsed.payload, rules, verdict)
  const found = rules.keys(issuer, kidOf(parsed.header, verdict), alg)
  const key = found instanceof Promise ? await found : found
  if (!key) throw verdict.fail('key', 'key_unknown', 'invalid signature')
  if (key.alg !== alg)
    throw verdict.fail('key', 'alg_not_of_key', 'invalid algorithm', `the key is for ${key.alg}`)
  verdict.pass('key')
  const library = rules.library ?? nodeCrypto
  assertSpeaks(library, alg)
  const matches = library.verify(parsed, key)
  if (!(typeof matches === 'boolean' ? matches : await matches))
    throw verdict.fail('signature', 'signature_invalid', 'invalid signature')
  verdict.pass('signature')
  return key
}

function checkIssuer({ iss }: Claims, { issuer }: VerificationRules, verdict: Verdict): string {
  const known = typeof issuer === 'string' ? iss === issuer : typeof iss === 'string' && issuer.includes(iss)
  if (!known)
    throw verdict.fail('issuer', 'issuer_mismatch', `jwt issuer invalid. expected: ${String(issuer)}`)
  verdict.pass('issuer')
  return iss as string
}

/** Whether a key made the signature of a token; nothing else is checked. Most callers want {@link verifyToken}. */
export async function verifySignature(
  parsed: ParsedToken,
  key: VerificationKey,
  library: TokenLibrary = nodeCrypto,
): Promise<boolean> {
  assertSpeaks(library, key.alg)
  return library.verify(parsed, key)
}
