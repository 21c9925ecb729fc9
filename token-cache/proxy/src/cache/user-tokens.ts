import type { SeenEntry, StoredEntry } from '@hallpass/token-store'
import type { Refusal } from './cached-token.ts'

/** What the proxies share about one user: the keys of its tokens, and the issuer's last refusal. */
export interface UserRecord {
  /** Each key with the time from which its token is no longer fresh. */
  readonly tokens: readonly (readonly [key: string, freshUntil: number])[]
  readonly refusal?: Refusal
}

export interface UserLimits {
  /** The maximum number of tokens of one user at a time. */
  readonly tokensPerUser: number
}

const NO_RECORD: UserRecord = { tokens: [] }

export function readRecord(seen: SeenEntry | undefined): UserRecord {
  if (!seen) return NO_RECORD
  try {
    return JSON.parse(seen.value) as UserRecord
  } catch {
    return NO_RECORD
  }
}

export const toRecord = (record: UserRecord, endsAt: number): StoredEntry => ({
  value: JSON.stringify(record),
  endsAt,
})

/**
 * Returns the record with a place for `key`, and the key that was removed for it; `undefined` if all other tokens are fresh.
 * A fresh token is never removed, so a caller that changes its user agent with each request does not exceed the limit.
 */
export function withPlace(
  { tokens }: UserRecord,
  key: string,
  freshUntil: number,
  now: number,
  { tokensPerUser }: UserLimits,
): { readonly record: UserRecord; readonly left?: string } | undefined {
  const others = tokens.filter(([one]) => one !== key)
  const oldest = others.reduce((a, b) => (b[1] < a[1] ? b : a), ['', Number.POSITIVE_INFINITY] as const)
  if (others.length < tokensPerUser) return { record: { tokens: [...others, [key, freshUntil]] } }
  if (oldest[1] > now) return undefined
  return {
    record: { tokens: [...others.filter((one) => one !== oldest), [key, freshUntil]] },
    left: oldest[0],
  }
}

/** Returns the time until a place is free, in whole seconds. */
export const placeInSeconds = ({ tokens }: UserRecord, now: number): number =>
  Math.max(1, Math.ceil((Math.min(...tokens.map(([, freshUntil]) => freshUntil)) - now) / 1000))
