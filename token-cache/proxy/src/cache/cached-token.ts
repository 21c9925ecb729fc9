import type { StoredEntry } from '@hallpass/token-store'

/** A token with its life in the cache; all times in milliseconds since the epoch. */
export interface CachedToken {
  readonly kind: 'token'
  /** As an operator writes the key. */
  readonly readable: string
  readonly token: string
  readonly jti: string
  /** When the token itself ends. */
  readonly expiresAt: number
  /** From then on the first request has it renewed, ahead of its end. */
  readonly renewAt: number
  /** From then on a new token is needed; while there is none to be had, this one serves until `usableUntil`. */
  readonly freshUntil: number
  /** The token's end less the time that a request may be under way. */
  readonly usableUntil: number
}

/** What an operator wrote: no token for this key, or for this user. */
export interface Block {
  readonly kind: 'block'
  readonly readable: string
  readonly endsAt: number
  /** Set when it is the user who is blocked, whatever the other fields say. */
  readonly user?: string
  /** Grows with each word about this key: the highest counts. */
  readonly revision: number
}

/** An operator's word that a block is over. Its mere absence would look like a store that has lost it. */
export interface Unblock extends Omit<Block, 'kind'> {
  readonly kind: 'unblock'
}

/** The issuer said no, or nothing; asking again at once would only be a burden on it. */
export interface Refusal {
  readonly kind: 'refusal'
  readonly readable: string
  readonly status: number
  readonly code: string
  readonly message: string
  readonly endsAt: number
}

export type CacheEntry = CachedToken | Block | Refusal

export const endOf = (entry: CacheEntry | Unblock): number =>
  entry.kind === 'token' ? entry.usableUntil : entry.endsAt

export function toStored(entry: CacheEntry | Unblock): StoredEntry {
  return { value: JSON.stringify(entry), endsAt: endOf(entry) }
}

/** @throws {SyntaxError} when somebody else wrote into the store. */
export function fromStored({ value }: StoredEntry): CacheEntry {
  return JSON.parse(value) as CacheEntry
}

export interface LifeRules {
  /** No token is used longer than this without asking for a new one. */
  readonly maxAgeMs: number
  /** The longest time that a request may be under way before the API looks at its token. */
  readonly marginMs: number
}

/** A token is renewed after 75 to 85 % of its life: ahead of its end, and not by all proxies and keys at once. */
const RENEW_FROM = 0.75
const RENEW_SPREAD = 0.1

/** How long a token serves; `undefined` when it ends too soon to be of use. */
export function lifeOf(
  expiresAt: number,
  now: number,
  { maxAgeMs, marginMs }: LifeRules,
  random: () => number = Math.random,
): Pick<CachedToken, 'expiresAt' | 'renewAt' | 'freshUntil' | 'usableUntil'> | undefined {
  const usableUntil = expiresAt - marginMs
  const freshUntil = Math.min(now + maxAgeMs, usableUntil)
  if (freshUntil <= now) return undefined
  const renewAt = Math.floor(now + (freshUntil - now) * (RENEW_FROM + RENEW_SPREAD * random()))
  return { expiresAt, renewAt, freshUntil, usableUntil }
}
