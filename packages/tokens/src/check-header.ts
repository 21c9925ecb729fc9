import { ALGORITHMS, type Algorithm, algorithmNamed } from './algorithms.ts'
import type { CompactParts, TokenHeader } from './compact.ts'
import { MAX_KID_LENGTH } from './jwks.ts'
import type { VerificationRules } from './rules.ts'
import type { Verdict } from './verdict.ts'

/** Plain JWTs and OAuth access tokens (RFC 9068 §2.1); tokens of other kinds have types of their own. */
const DEFAULT_TYPES: readonly string[] = ['JWT', 'at+jwt']

/** RFC 7515 §4.1.2, §4.1.3, §4.1.5, §4.1.6: keys, or where to find them, as the sender of the token would have them. */
const EMBEDDED_KEYS = ['jku', 'jwk', 'x5u', 'x5c'] as const

/**
 * Holds the header against the rules, before any key is looked up.
 * @returns the algorithm that it names.
 * @throws {TokenError}
 */
export function checkHeader(
  { header, signature }: CompactParts,
  rules: Pick<VerificationRules, 'embeddedKeys' | 'typ'>,
  verdict: Verdict,
): Algorithm {
  const alg = checkAlgorithm(header, signature.length === 0, verdict)
  // We understand no extension at all, so whatever is critical is too much.
  if (header.crit !== undefined)
    throw verdict.fail('critical', 'critical_header', 'jwt header has unknown critical parameters')
  if (header.b64 !== undefined && header.b64 !== true)
    throw verdict.fail('critical', 'unencoded_payload', 'jwt payload must be encoded')
  verdict.pass('critical')
  if (rules.embeddedKeys !== 'ignored') {
    const embedded = EMBEDDED_KEYS.find((name) => header[name] !== undefined)
    if (embedded)
      throw verdict.fail('embedded key', 'embedded_key', 'jwt header must not bring a key', embedded)
    verdict.pass('embedded key')
  }
  checkType(header.typ, rules.typ ?? DEFAULT_TYPES, verdict)
  return alg
}

function checkAlgorithm(header: TokenHeader, unsigned: boolean, verdict: Verdict): Algorithm {
  const alg = algorithmNamed(header.alg, ALGORITHMS)
  if (!alg)
    throw verdict.fail(
      'algorithm',
      'alg_not_allowed',
      unsigned ? 'jwt signature is required' : 'invalid algorithm',
      String(header.alg).slice(0, 32),
    )
  if (unsigned) throw verdict.fail('algorithm', 'signature_missing', 'jwt signature is required')
  verdict.pass('algorithm')
  return alg
}

function checkType(typ: unknown, allowed: readonly string[], verdict: Verdict): void {
  const type = typ === undefined ? 'jwt' : mediaType(typ)
  if (!allowed.some((name) => mediaType(name) === type))
    throw verdict.fail(
      'type',
      'typ_not_allowed',
      `jwt type invalid. expected: ${allowed.join(' or ')}`,
      String(typ).slice(0, 64),
    )
  verdict.pass('type')
}

/** RFC 7515 §4.1.9: media types ignore case, and may leave `application/` out. */
const mediaType = (typ: unknown): string | undefined =>
  typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined

/** The name of the key: any text that is not too long, because it is only ever looked up in a map (RFC 8725 §3.10). */
export function kidOf({ kid }: TokenHeader, verdict: Verdict): string | undefined {
  if (kid === undefined || (typeof kid === 'string' && kid.length <= MAX_KID_LENGTH)) return kid
  throw verdict.fail('key', 'kid_malformed', 'invalid token')
}
