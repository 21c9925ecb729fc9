import { KeySetError, type ParseJwksOptions, parseJwks } from './jwks.ts'
import { type KeyFinder, keyNamed } from './key-finder.ts'
import type { VerificationKey } from './keys.ts'

export interface RemoteKeysOptions extends ParseJwksOptions {
  readonly issuer: string
  /** Fetches the key set as parsed JSON; must have its own timeout. */
  readonly load: () => Promise<unknown>
  /** How long a set is used before it must be loaded again. */
  readonly maxAgeMs?: number
  /** The minimum time between loads caused by an unknown kid or a failed load. */
  readonly cooldownMs?: number
  /** How long a set is used if loading keeps failing; afterwards verification fails closed. */
  readonly maxStaleMs?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
}

/** A common cache time for JWKS, and the maximum time for which a removed key is still accepted. */
const DEFAULT_MAX_AGE_MS = 5 * 60_000
/** Limits the load on the issuer: any number of tokens with made-up kids causes one request. */
const DEFAULT_COOLDOWN_MS = 30_000
/** An issuer that has been unavailable for a day is not expected to recover. */
const DEFAULT_MAX_STALE_MS = 24 * 3_600_000
/** Without any keys every request fails, so the first load is retried sooner than later ones. */
const FIRST_LOAD_RETRY_MS = 1000
/** The fraction of maxAgeMs after which a set is refreshed in the background, so that no request has to wait. */
const REFRESH_AHEAD = 0.75

/**
 * Makes a finder for the keys that an issuer publishes. The set is cached, loaded by one request at a time, and loaded again
 * if a token names an unknown key. If a load fails, or the new set is rejected, the last valid set stays in use.
 * The finder rejects with what `load` threw, or with a KeySetError, only if there is no usable set.
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
  readonly #issuer: string
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
    this.#issuer = options.issuer
    this.#load = options.load
    this.#parse = options.uses ? { uses: options.uses } : {}
    this.#maxAgeMs = options.maxAgeMs ?? DEFAULT_MAX_AGE_MS
    this.#cooldownMs = options.cooldownMs ?? DEFAULT_COOLDOWN_MS
    this.#maxStaleMs = options.maxStaleMs ?? DEFAULT_MAX_STALE_MS
    this.#clock = options.clock ?? Date.now
  }

  /** Returns the set if it can be used without waiting, and refreshes an aging one in the background. */
  usable(): KeyMap | undefined {
    if (!this.#keys) return undefined
    const age = this.#age()
    if (age < this.#maxAgeMs * REFRESH_AHEAD) return this.#keys
    if (age >= this.#maxStaleMs || (age >= this.#maxAgeMs && this.mayReload())) return undefined
    if (this.mayReload()) void this.#reload()
    return this.#keys
  }

  /** Absolute: after the clock was set back, an old set is not taken for a new one. */
  #age(): number {
    return Math.abs(this.#clock() - this.#loadedAt)
  }

  mayReload(): boolean {
    // A pause that seems longer than any was set before the clock was set back.
    const left = this.#pausedUntil - this.#clock()
    return this.#loading !== undefined || left <= 0 || left > this.#cooldownMs
  }

  /**
   * Loads the set and returns it; returns the old set if that fails.
   * @param forUnknownKid starts the cooldown, because anyone can trigger such a load.
   */
  async renewed(forUnknownKid: boolean): Promise<KeyMap> {
    if (this.mayReload()) {
      const loading = this.#reload()
      if (forUnknownKid) this.#pause()
      await loading
    }
    if (this.#keys && this.#age() < this.#maxStaleMs) return this.#keys
    throw this.#failure
  }

  #pause(): void {
    const pause = this.#keys ? this.#cooldownMs : Math.min(this.#cooldownMs, FIRST_LOAD_RETRY_MS)
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock() + pause)
  }

  /** Never rejects; a failure is stored and thrown only if there is no set to fall back on. */
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
      this.#failure = failure instanceof KeySetError ? named(failure, this.#issuer) : failure
      this.#pause()
    }
  }

  /** Returns the existing object for an unchanged key, so that what is cached for it stays valid. */
  #known(key: VerificationKey): VerificationKey {
    const old = this.#keys?.get(key.kid)
    return old?.alg === key.alg && old.publicKey.equals(key.publicKey) ? old : key
  }
}

/** Adds the issuer to the error, because the error reaches clients of a verifier that may have several. */
const named = (failure: KeySetError, issuer: string) =>
  new KeySetError(failure.reason, `The key set of ${issuer} is rejected. ${failure.message}`, {
    cause: failure,
    unusable: failure.unusable,
  })
