import type { SeenEntry, StoredEntry } from '@hallpass/token-store'
import type { Refusal } from './cached-token.ts'

/** What all proxies know of one user: under which keys its tokens are, and what the issuer last said no with. */
export interface UserRecord {
  /** Each key with the time from which its token needs renewal. */
  readonly tokens: readonly (readonly [key: string, freshUntil: number])[]
  readonly refusal?: Refusal
}

export interface UserLimits {
  /** How many tokens one user may have at a time. */
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
 * The record with a place for `key`, and the key that had to leave for it. A token that is still fresh never leaves: a
 * caller that names itself anew with each request gets no more tokens than it may have. `undefined` when all are fresh.
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

/** When a place is free at the latest, in whole seconds from now. */
export const placeInSeconds = ({ tokens }: UserRecord, now: number): number =>
  Math.max(1, Math.ceil((Math.min(...tokens.map(([, freshUntil]) => freshUntil)) - now) / 1000))
