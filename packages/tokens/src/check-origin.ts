import { algorithmNamed } from './algorithms.ts'
import { checkHeader, kidOf } from './check-header.ts'
import type { Claims, CompactParts, ParsedToken } from './compact.ts'
import type { VerificationKey } from './keys.ts'
import { nodeCrypto } from './libraries/node-crypto.ts'
import { assertSpeaks } from './libraries.ts'
import type { TokenLibrary } from './library.ts'
import type { VerificationRules } from './rules.ts'
import type { Verdict } from './verdict.ts'

/** Who made the token: header, issuer, key and signature. What it says, and until when, is not looked at yet. */
export async function checkOrigin(
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
  const matches = isSignedBy(parsed, key, rules.library)
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

/** RFC 7518 §3.4, RFC 8037 §3.1: R and S, 32 bytes each. An RSA signature is as long as its key, OpenSSL sees to that. */
const CURVE_SIGNATURE_BYTES = 64

function isSignedBy(
  parts: CompactParts,
  key: VerificationKey,
  library: TokenLibrary = nodeCrypto,
): boolean | Promise<boolean> {
  assertSpeaks(library, key.alg)
  if (algorithmNamed(parts.header.alg, [key.alg]) !== key.alg) return false
  const ofCurve = key.alg === 'ES256' || key.alg === 'EdDSA'
  if (ofCurve && parts.signature.length !== CURVE_SIGNATURE_BYTES) return false
  return library.verify(parts, key)
}

/**
 * Whether a key made the signature of a token, in the algorithm that the key is for (RFC 8725 §3.1); nothing else is
 * checked. Most callers want verifyToken.
 */
export async function verifySignature(
  parts: CompactParts,
  key: VerificationKey,
  library?: TokenLibrary,
): Promise<boolean> {
  return isSignedBy(parts, key, library)
}
