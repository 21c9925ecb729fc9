import type { StoredEntry } from '@hallpass/token-store'

/** A token with its times in the cache, all in milliseconds since the epoch. */
export interface CachedToken {
  readonly kind: 'token'
  /** The key as an operator writes it. */
  readonly readable: string
  readonly token: string
  readonly jti: string
  /** When the token itself expires. */
  readonly expiresAt: number
  /** From then on, the next request triggers a renewal in the background. */
  readonly renewAt: number
  /** From then on, a new token is needed; if none is available, this one is used until `usableUntil`. */
  readonly freshUntil: number
  /** The token's expiry minus the longest time that a request can take to reach the API. */
  readonly usableUntil: number
}

/** An operator's block of a key or of a user. */
export interface Block {
  readonly kind: 'block'
  readonly readable: string
  readonly endsAt: number
  /** Set if the user is blocked, with any other fields. */
  readonly user?: string
  /** Increases with each change of this key; the highest one is valid. */
  readonly revision: number
}

/** Records that an operator ended a block. If the block were only deleted, it would look lost and be written back. */
export interface Unblock extends Omit<Block, 'kind'> {
  readonly kind: 'unblock'
}

/** A rejection by the issuer or its failure to answer, cached briefly so that requests do not overload it. */
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

/** @throws {SyntaxError} if the value is not JSON, for example because another program wrote it. */
export function fromStored({ value }: StoredEntry): CacheEntry {
  return JSON.parse(value) as CacheEntry
}

export interface LifeRules {
  /** The longest time that a token is used before a new one is requested. */
  readonly maxAgeMs: number
  /** The longest time that a request can take before the API verifies its token. */
  readonly marginMs: number
}

/** A token is renewed after a random 75 to 85% of its time, so that keys and proxies do not all renew at the same moment. */
const RENEW_FROM = 0.75
const RENEW_SPREAD = 0.1

/** Returns the times of a token in the cache, or `undefined` if it expires too soon to be used. */
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
