/** The keys of one key ID, as far as their rotation is concerned. Times are in milliseconds since the epoch. */
export interface RotatingKey {
  readonly keyId: string
  /** The key that signs now. */
  readonly signing: { readonly kid: string; readonly sinceMs: number }
  /** The key that signs next, if verifiers can already see it. */
  readonly next?: { readonly kid: string; readonly sinceMs: number } | undefined
}

export interface RotationRules {
  /** The maximum age of a signing key. */
  readonly everyMs: number
  /** How long a key is published before it signs. */
  readonly publishAheadMs: number
  /** Distinguishes issuers, so that two of them do not rotate their keys at the same moments. */
  readonly issuer: string
}

/** When the keys of a key ID change, in milliseconds since the epoch. Times in the past are overdue. */
export interface RotationPlan {
  /** When the next key is published; absent if it already is. */
  readonly publishAtMs?: number
  /** When the next key signs. */
  readonly rotateAtMs: number
}

/**
 * The clocks of two replicas differ by less (CLOCK_TOLERANCE_SECONDS is at most 60). A key that is further in the future was
 * made while a clock was wrong, so its age is unknown.
 */
const FUTURE_MS = 60_000

/**
 * Plans the next rotation of one key ID.
 *
 * Each key ID has its own fixed moments, half a period apart, derived from its name: so the rotations of 10,000 key IDs that
 * were created together are spread over half a period, every replica makes the same plan without a message, and a restart
 * changes nothing. A key is rotated at the last of these moments before it is `everyMs` old, i.e. at an age between half
 * a period and a whole one; from then on exactly once per period. After a downtime one rotation is overdue, however many
 * periods have passed, because the plan depends only on the key that signs now.
 *
 * A next key that is not published in time delays the rotation: a verifier must never see a token before its key.
 *
 * @param now the time, in milliseconds since the epoch
 */
export function planRotation(
  { keyId, signing, next }: RotatingKey,
  rules: RotationRules,
  now: number,
): RotationPlan {
  const { everyMs, publishAheadMs } = rules
  const isFuture = (sinceMs: number) => sinceMs > now + FUTURE_MS
  const step = everyMs / 2
  const offset = phaseOf(keyId, rules.issuer) * step
  const dueMs = isFuture(signing.sinceMs)
    ? now
    : Math.ceil(Math.floor((signing.sinceMs + everyMs - offset) / step) * step + offset)
  if (!next) return { publishAtMs: dueMs - publishAheadMs, rotateAtMs: dueMs }
  return { rotateAtMs: isFuture(next.sinceMs) ? dueMs : Math.max(dueMs, next.sinceMs + publishAheadMs) }
}

/** Returns a plan as it will be carried out: what is overdue is done now, and a rotation waits for its key. */
export function expectedPlan(
  plan: RotationPlan,
  { publishAheadMs }: RotationRules,
  now: number,
): RotationPlan {
  if (plan.publishAtMs === undefined) return { rotateAtMs: Math.max(now, plan.rotateAtMs) }
  const publishAtMs = Math.max(now, plan.publishAtMs)
  return { publishAtMs, rotateAtMs: Math.max(plan.rotateAtMs, publishAtMs + publishAheadMs) }
}

/**
 * Returns a number from 0 (included) to 1, evenly distributed over the key IDs: FNV-1a, and the last step of MurmurHash3 for
 * names that differ only at the end. Not SHA-256, which would take 40 ms for 10,000 key IDs, at each look.
 */
function phaseOf(keyId: string, issuer: string): number {
  let hash = 0x811c9dc5
  for (const character of `${issuer} ${keyId}`)
    hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
