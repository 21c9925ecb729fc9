import { Permits } from '@hallpass/untrusted/permits'
import { isSameKey, KeySetError, type ParseJwksOptions, readKeySet, type UnusableKey } from '../jwks.ts'
import { isKey, type KeyIdentity, type VerificationKey } from '../keys.ts'
import { KeyNotLoadedError } from './key-not-loaded.ts'
import {
  DEFAULT_COOLDOWN_MS,
  DEFAULT_MAX_AGE_MS,
  DEFAULT_MAX_STALE_MS,
  named,
  parseOptions,
  REFRESH_AHEAD,
  type RemoteKeysOptions,
} from './options.ts'

/** Without any keys every request fails, so the first load is retried sooner than later ones. */
const FIRST_LOAD_RETRY_MS = 1000
/**
 * How many loads of the set tokens may cause per cooldown, however many kids and signatures are made up; loads that change the set
 * are free. More than one, because else one made-up token would shut out a key that is published right after it.
 */
const MAX_RELOADS = 5

export type KeyMap = ReadonlyMap<string, VerificationKey>

export class RemoteKeySet {
  readonly #issuer: string
  readonly #load: () => Promise<unknown>
  readonly #parse: ParseJwksOptions
  readonly #maxAgeMs: number
  readonly #cooldownMs: number
  readonly #maxStaleMs: number
  readonly #clock: () => number
  readonly #onUnusable: RemoteKeysOptions['onUnusable']
  readonly #onFailure: RemoteKeysOptions['onFailure']
  readonly #permits: Permits
  #unusable = '[]'
  #keys: KeyMap | undefined
  #loadedAt = 0
  #pausedUntil = Number.NEGATIVE_INFINITY
  #failure: unknown
  #loading: Promise<void> | undefined
  #loadStartedAt = 0
  /** When the load of the current set started: what the issuer has changed since may be missing in it. */
  #readAt = 0

  constructor(options: RemoteKeysOptions) {
    this.#issuer = options.issuer
    this.#load = options.load
    this.#parse = parseOptions(options)
    this.#onUnusable = options.onUnusable
    this.#onFailure = options.onFailure
    this.#maxAgeMs = options.maxAgeMs ?? DEFAULT_MAX_AGE_MS
    this.#cooldownMs = options.cooldownMs ?? DEFAULT_COOLDOWN_MS
    this.#maxStaleMs = options.maxStaleMs ?? DEFAULT_MAX_STALE_MS
    this.#clock = options.clock ?? Date.now
    this.#permits = new Permits(MAX_RELOADS, this.#cooldownMs, this.#clock)
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

  mayReload(why?: 'for a token'): boolean {
    if (this.#loading !== undefined) return true
    // A pause that seems longer than any was set before the clock was set back.
    const left = this.#pausedUntil - this.#clock()
    if (left > 0 && left <= this.#cooldownMs) return false
    return why === undefined || !this.#permits.isEmpty
  }

  /**
   * Returns undefined, for a key that the issuer does not have.
   * @throws why the last load failed: then the key may be new, and its token not forged
   */
  unknown(): undefined {
    if (this.#failure !== undefined) throw this.#failure
    return undefined
  }

  /**
   * Loads the set and searches it.
   * @param forToken takes a permit, because anyone can trigger such a load.
   * @throws {KeyNotLoadedError} if nothing is found and nothing may be loaded to be sure
   */
  async search<T>(find: (keys: KeyMap) => T | undefined, forToken: boolean): Promise<T | undefined> {
    if (forToken) this.#assertMayReload()
    // A load that was running before may have read the set before the key was published.
    const isLate = this.#loading !== undefined && this.#loadStartedAt !== this.#clock()
    const found = find(await this.renewed(forToken))
    if (found !== undefined || !isLate || this.#failure !== undefined) return found
    this.#assertMayReload()
    return find(await this.renewed(true))
  }

  /** Not rejected as forged while this throws: the key may be new. */
  #assertMayReload(): void {
    if (this.mayReload('for a token')) return
    throw this.#failure ?? new KeyNotLoadedError(this.#issuer, this.#permits.nextInMs)
  }

  /**
   * Loads the set and returns it; returns the old set if that fails.
   * @param forToken takes a permit, because anyone can trigger such a load.
   */
  async renewed(forToken: boolean): Promise<KeyMap> {
    if (this.mayReload(forToken ? 'for a token' : undefined)) {
      const before = this.#keys
      const permit = forToken && this.#loading === undefined && this.#permits.take()
      await this.#reload()
      if (permit && this.#keys !== before) this.#permits.giveBack()
    }
    if (this.#keys && this.#age() < this.#maxStaleMs) return this.#keys
    throw this.#failure
  }

  /** See `withdrawnAt` of KeyFinder. */
  async withdrawnAt(key: KeyIdentity): Promise<number | undefined> {
    const keys = this.usable() ?? (await this.renewed(false).catch(() => undefined))
    if (keys === undefined) return this.#keys && Number.POSITIVE_INFINITY
    const current = keys.get(key.kid)
    return current && isKey(current, key) ? undefined : this.#readAt
  }

  #pause(): void {
    const pause = this.#keys ? this.#cooldownMs : Math.min(this.#cooldownMs, FIRST_LOAD_RETRY_MS)
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock() + pause)
  }

  /** Never rejects; a failure is stored and thrown only if there is no set to fall back on. */
  #reload(): Promise<void> {
    if (this.#loading === undefined) {
      this.#loadStartedAt = this.#clock()
      this.#loading = this.#loadOnce().finally(() => {
        this.#loading = undefined
      })
    }
    return this.#loading
  }

  async #loadOnce(): Promise<void> {
    try {
      const { keys, unusable } = readKeySet(await this.#load(), this.#parse)
      this.#report(unusable)
      const loaded = new Map(keys.map((key) => [key.kid, this.#known(key)]))
      // The same object while nothing has changed.
      if (!this.#keys || !hasSameKeys(this.#keys, loaded)) this.#keys = loaded
      this.#loadedAt = this.#clock()
      this.#readAt = this.#loadStartedAt
      this.#failure = undefined
      this.#onFailure?.(undefined)
    } catch (failure) {
      this.#failure = failure instanceof KeySetError ? named(failure, this.#issuer) : failure
      if (failure instanceof KeySetError && failure.unusable.length > 0) this.#report(failure.unusable)
      else this.#onFailure?.(this.#failure)
      this.#pause()
    }
  }

  #report(unusable: readonly UnusableKey[]): void {
    const described = JSON.stringify(unusable)
    if (described === this.#unusable) return
    this.#unusable = described
    this.#onUnusable?.(unusable)
  }

  /** Returns the existing object for an unchanged key, so that what is cached for it stays valid. */
  #known(key: VerificationKey): VerificationKey {
    const old = this.#keys?.get(key.kid)
    return old && isSameKey(old, key) ? old : key
  }
}

/** The keys of the second map are those objects of the first that have not changed. */
const hasSameKeys = (a: KeyMap, b: KeyMap) =>
  a.size === b.size && [...b].every(([kid, key]) => a.get(kid) === key)
