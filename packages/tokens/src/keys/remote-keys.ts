import { type ParseJwksOptions, parseJwks } from './jwks.ts'
import { type KeyFinder, keyNamed } from './key-finder.ts'
import type { VerificationKey } from './keys.ts'

export interface RemoteKeysOptions extends ParseJwksOptions {
  readonly issuer: string
  /** Fetches the key set as parsed JSON; must have a time-out of its own. */
  readonly load: () => Promise<unknown>
  /** How long a set is used before it is loaded again. */
  readonly maxAgeMs?: number
  /** The least time between two loads that an unknown kid, or a failed load, causes. */
  readonly cooldownMs?: number
  /** How long a set is used when it cannot be loaded again; then verification fails closed. */
  readonly maxStaleMs?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
}

/** As long as a JWKS is commonly cached; a removed key is honoured that much longer at most. */
const DEFAULT_MAX_AGE_MS = 5 * 60_000
/** A thousand tokens with invented kids cost the issuer one request. */
const DEFAULT_COOLDOWN_MS = 30_000
/** An issuer that is away for a day has left. */
const DEFAULT_MAX_STALE_MS = 24 * 3_600_000
/** Without any keys every request fails, so the first set is asked for more often than the next ones. */
const FIRST_LOAD_RETRY_MS = 1000
/** After this part of its age a set is loaded again in the background, so that nobody waits for it. */
const REFRESH_AHEAD = 0.75

/**
 * The published keys of one issuer: cached, loaded by one request at a time, and once more when a token names a key
 * that is not in the set. When a load fails, or the new set is refused, the last good one stays.
 * The finder rejects with what `load` threw, or with a KeySetError, only when there is no usable set at all.
 */
export function remoteKeys(options: RemoteKeysOptions): KeyFinder {
  const set = new RemoteKeySet(options)
  return (issuer, kid, alg) => {
    if (issuer !== options.issuer) return undefined
    const current = set.usable()
    const key = current && keyNamed(current, kid, alg)
    if (key || (current && !set.mayReload())) return key
    return set.renewed(current !== undefined).then((keys) => keyNamed(keys, kid, alg))
  }
}

type KeyMap = ReadonlyMap<string, VerificationKey>

class RemoteKeySet {
  readonly #load: () => Promise<unknown>
  readonly #parse: ParseJwksOptions
  readonly #maxAgeMs: number
  readonly #cooldownMs: number
  readonly #maxStaleMs: number
  readonly #clock: () => number
  #keys: KeyMap | undefined
  #loadedAt = 0
  #pausedUntil = Number.NEGATIVE_INFINITY
  #failure: unknown
  #loading: Promise<void> | undefined

  constructor(options: RemoteKeysOptions) {
    this.#load = options.load
    this.#parse = options.uses ? { uses: options.uses } : {}
    this.#maxAgeMs = options.maxAgeMs ?? DEFAULT_MAX_AGE_MS
    this.#cooldownMs = options.cooldownMs ?? DEFAULT_COOLDOWN_MS
    this.#maxStaleMs = options.maxStaleMs ?? DEFAULT_MAX_STALE_MS
    this.#clock = options.clock ?? Date.now
  }

  /** The set, when it can be used without waiting; renews one that grows old in the background. */
  usable(): KeyMap | undefined {
    if (!this.#keys) return undefined
    const age = this.#clock() - this.#loadedAt
    if (age < this.#maxAgeMs * REFRESH_AHEAD) return this.#keys
    if (age >= this.#maxStaleMs || (age >= this.#maxAgeMs && this.mayReload())) return undefined
    if (this.mayReload()) void this.#reload()
    return this.#keys
  }

  mayReload(): boolean {
    return this.#loading !== undefined || this.#clock() >= this.#pausedUntil
  }

  /**
   * The set after a load that somebody needed at once, or the old set when that failed.
   * @param forUnknownKid such loads anybody can cause, so the next one must wait.
   */
  async renewed(forUnknownKid: boolean): Promise<KeyMap> {
    if (this.mayReload()) {
      const loading = this.#reload()
      if (forUnknownKid) this.#pause()
      await loading
    }
    if (this.#keys && this.#clock() - this.#loadedAt < this.#maxStaleMs) return this.#keys
    throw this.#failure
  }

  #pause(): void {
    const pause = this.#keys ? this.#cooldownMs : Math.min(this.#cooldownMs, FIRST_LOAD_RETRY_MS)
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock() + pause)
  }

  /** Never rejects; a failure is kept for whoever has no set to fall back on. */
  #reload(): Promise<void> {
    this.#loading ??= this.#loadOnce().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #loadOnce(): Promise<void> {
    try {
      const keys = parseJwks(await this.#load(), this.#parse)
      this.#keys = new Map(keys.map((key) => [key.kid, this.#known(key)]))
      this.#loadedAt = this.#clock()
    } catch (failure) {
      this.#failure = failure
      this.#pause()
    }
  }

  /** A key that was there before stays the same object, and so does all that is cached for it. */
  #known(key: VerificationKey): VerificationKey {
    const old = this.#keys?.get(key.kid)
    return old?.alg === key.alg && old.publicKey.equals(key.publicKey) ? old : key
  }
}
