import { hash } from 'node:crypto'
import { checkClaims } from './check-claims.ts'
import { checkOrigin } from './check-origin.ts'
import { MAX_TOKEN_LENGTH, type ParsedToken, parseCompact } from './compact.ts'
import type { VerificationKey } from './keys.ts'
import { assertRules, type VerificationRules } from './rules.ts'
import type { Check } from './token-error.ts'
import { Verdict } from './verdict.ts'
import type { VerifiedToken } from './verify.ts'

export interface CachedVerifierOptions {
  /** How many good tokens are remembered; each takes 1–2 KB. */
  readonly maxEntries?: number
}

/** Some 10 MB when full: a service has far fewer callers with a token at a time. */
const DEFAULT_MAX_ENTRIES = 5_000

interface Entry extends Pick<ParsedToken, 'header' | 'payload'> {
  readonly key: VerificationKey
  readonly checks: readonly Check[]
}

/**
 * A verifyToken for one set of rules that remembers which signatures were good: 1 µs instead of 25 for a token that
 * comes again. It is asked for the whole token, by its SHA-256; the key is looked up and the claims are checked each
 * time, so that a token ends when it expires or its key goes. What was refused is not remembered.
 */
export function cachedVerifier(
  rules: VerificationRules,
  { maxEntries = DEFAULT_MAX_ENTRIES }: CachedVerifierOptions = {},
): (token: string) => Promise<VerifiedToken> {
  assertRules(rules)
  const entries = new Map<string, Entry>()

  return async (token) => {
    if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH) parseCompact(token)
    const id = hash('sha256', token, 'base64')
    const known = entries.get(id)
    // The least recently used is the first of the map.
    if (known) entries.delete(id)
    const entry = known && (await isKeyOf(known, rules)) ? known : await verifyOrigin(token, rules)
    const verdict = new Verdict(entry.checks)
    checkClaims(entry.payload, rules, verdict)
    entries.set(id, entry)
    if (entries.size > maxEntries) entries.delete(entries.keys().next().value as string)
    return { header: entry.header, claims: entry.payload, checks: verdict.checks }
  }
}

async function verifyOrigin(token: string, rules: VerificationRules): Promise<Entry> {
  const parsed = parseCompact(token)
  const verdict = new Verdict()
  verdict.pass('form')
  const key = await checkOrigin(parsed, rules, verdict)
  return { header: parsed.header, payload: parsed.payload, key, checks: verdict.checks }
}

/** Whether the key that made the signature is still the one of that name. */
async function isKeyOf({ header, payload, key }: Entry, rules: VerificationRules): Promise<boolean> {
  return key === (await rules.keys(payload.iss as string, header.kid as string | undefined, key.alg))
}
