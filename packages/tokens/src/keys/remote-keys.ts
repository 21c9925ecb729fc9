import {
  isSameKey,
  KeySetError,
  MAX_KID_LENGTH,
  type ParseJwksOptions,
  parseJwks,
  readKeySet,
  type UnusableKey,
} from './jwks.ts'
import { type KeyFinder, keyNamed } from './key-finder.ts'
import type { VerificationKey } from './keys.ts'
import { Permits } from './permits.ts'

export interface RemoteKeysOptions extends ParseJwksOptions {
  readonly issuer: string
  /** Fetches the key set as parsed JSON; must have its own timeout. */
  readonly load: () => Promise<unknown>
  /**
   * Fetches a set with one key, for an issuer that has more keys than fit into its set; undefined if it has no such key.
   * It is called for a kid that the set lacks, instead of loading the set again.
   */
  readonly loadKey?: ((kid: string) => Promise<unknown>) | undefined
  /**
   * Called with the keys that a loaded set has but that cannot be used, whenever they differ from those of the last set, and
   * with an empty list once all can be used again.
   */
  readonly onUnusable?: ((unusable: readonly UnusableKey[]) => void) | undefined
  /** Called with what `load` threw, or a KeySetError, each time that a load fails; with undefined when one succeeds. */
  readonly onFailure?: ((failure: unknown) => void) | undefined
  /** How long a set is used before it must be loaded again. */
  readonly maxAgeMs?: number
  /**
   * The time between a failed load and the next one, and the time in which tokens with unknown kids or wrong signatures cause at
   * most five loads that change nothing.
   */
  readonly cooldownMs?: number
  /** How long a set is used if loading keeps failing; afterwards verification fails closed. */
  readonly maxStaleMs?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
}

/** A common cache time for JWKS, and the maximum time for which a removed key is still accepted. */
const DEFAULT_MAX_AGE_MS = 5 * 60_000
/** Long enough for an issuer that restarts. */
const DEFAULT_COOLDOWN_MS = 30_000
/** An issuer that has been unavailable for a day is not expected to recover. */
const DEFAULT_MAX_STALE_MS = 24 * 3_600_000
/** Without any keys every request fails, so the first load is retried sooner than later ones. */
const FIRST_LOAD_RETRY_MS = 1000
/** Keys beside the set; some 2 KB each. The services that one verifier accepts are far fewer. */
const MAX_FOUND = 1_000
/**
 * How many loads of the set tokens may cause per cooldown, however many kids and signatures are made up; loads that change the set
 * are free. More than one, because else one made-up token would shut out a key that is published right after it.
 */
const MAX_RELOADS = 5
/**
 * How many loads of keys that do not exist are allowed per cooldown; loads that find their key are free. More than one,
 * because else one made-up kid would shut out every real key that is not known yet.
 */
const MAX_MISSES = 20
/** The fraction of maxAgeMs after which a set is refreshed in the background, so that no request has to wait. */
const REFRESH_AHEAD = 0.75

/**
 * Makes a finder for the keys that an issuer publishes. The set is cached, loaded by one request at a time, and loaded again
 * if a token names an unknown key or its signature is not by the key with this kid. If a load fails, or the new set is rejected, the last valid set stays in use.
 * The finder fails with what `load` threw, or with a KeySetError, if there is no usable set, or if the key is unknown and the last load failed.
 */
export function remoteKeys(options: RemoteKeysOptions): KeyFinder {
  const set = new RemoteKeySet(options)
  const { loadKey } = options
  const more = loadKey && new MoreRemoteKeys({ ...options, loadKey })
  const findMore = (kid: string | undefined) => (kid === undefined ? undefined : more?.find(kid))
  const find: KeyFinder = (issuer, kid, alg) => {
    if (issuer !== options.issuer) return undefined
    const current = set.usable()
    const key = current && keyNamed(current, kid, alg)
    if (key) return key
    if (current && more) return findMore(kid)
    if (current && !set.mayReload('for a token')) return set.unknown()
    return set
      .renewed(current !== undefined)
      .then((keys) => keyNamed(keys, kid, alg) ?? findMore(kid) ?? set.unknown())
  }
  const replaced: KeyFinder['replaced'] = (issuer, kid, alg, rejected) => {
    if (issuer !== options.issuer || !set.mayReload('for a token')) return undefined
    return set.renewed(true).then((keys) => {
      const key = keyNamed(keys, kid, alg)
      return key === rejected ? undefined : key
    })
  }
  return Object.assign(find, { replaced })
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
  readonly #onUnusable: RemoteKeysOptions['onUnusable']
  readonly #onFailure: RemoteKeysOptions['onFailure']
  readonly #permits: Permits
  #unusable = '[]'
  #keys: KeyMap | undefined
  #loadedAt = 0
  #pausedUntil = Number.NEGATIVE_INFINITY
  #failure: unknown
  #loading: Promise<void> | undefined

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
      const { keys, unusable } = readKeySet(await this.#load(), this.#parse)
      this.#report(unusable)
      const loaded = new Map(keys.map((key) => [key.kid, this.#known(key)]))
      // The same object while nothing has changed.
      if (!this.#keys || !hasSameKeys(this.#keys, loaded)) this.#keys = loaded
      this.#loadedAt = this.#clock()
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

interface FoundKey {
  readonly key: VerificationKey
  readonly loadedAt: number
}

/** The keys of an issuer that are not in its set, each loaded when a token names it. */
class MoreRemoteKeys {
  readonly #issuer: string
  readonly #loadKey: (kid: string) => Promise<unknown>
  readonly #parse: ParseJwksOptions
  readonly #maxAgeMs: number
  readonly #cooldownMs: number
  readonly #maxStaleMs: number
  readonly #clock: () => number
  /** In the order of their last load. */
  readonly #found = new Map<string, FoundKey>()
  readonly #loading = new Map<string, Promise<VerificationKey | undefined>>()
  readonly #permits: Permits

  constructor(options: RemoteKeysOptions & { readonly loadKey: (kid: string) => Promise<unknown> }) {
    this.#issuer = options.issuer
    this.#loadKey = options.loadKey
    this.#parse = parseOptions(options)
    this.#maxAgeMs = options.maxAgeMs ?? DEFAULT_MAX_AGE_MS
    this.#cooldownMs = options.cooldownMs ?? DEFAULT_COOLDOWN_MS
    this.#maxStaleMs = options.maxStaleMs ?? DEFAULT_MAX_STALE_MS
    this.#clock = options.clock ?? Date.now
    this.#permits = new Permits(MAX_MISSES, this.#cooldownMs, this.#clock)
  }

  /** @throws what `loadKey` threw, or a KeySetError, if the key is not known. */
  find(kid: string): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    const found = this.#found.get(kid)
    const age = found ? this.#clock() - found.loadedAt : Number.POSITIVE_INFINITY
    if (found && age < this.#maxAgeMs) {
      if (age >= this.#maxAgeMs * REFRESH_AHEAD) void this.#load(kid)?.catch(() => {})
      return found.key
    }
    const stale = found && age < this.#maxStaleMs ? found.key : undefined
    if (kid.length > MAX_KID_LENGTH) return undefined
    const loading = this.#load(kid)
    if (!loading) return stale
    return stale ? loading.catch(() => stale) : loading
  }

  /** Returns undefined if too many loads have found nothing. */
  #load(kid: string): Promise<VerificationKey | undefined> | undefined {
    const running = this.#loading.get(kid)
    if (running !== undefined) return running
    if (!this.#permits.take()) return undefined
    const loading = this.#loadNow(kid).finally(() => this.#loading.delete(kid))
    this.#loading.set(kid, loading)
    return loading
  }

  async #loadNow(kid: string): Promise<VerificationKey | undefined> {
    const json = await this.#loadKey(kid)
    const known = this.#found.get(kid)?.key
    this.#found.delete(kid)
    const key = json === undefined ? undefined : this.#keyIn(json, kid)
    if (!key) return undefined
    this.#permits.giveBack()
    const kept = known && isSameKey(known, key) ? known : key
    this.#found.set(kid, { key: kept, loadedAt: this.#clock() })
    const [oldest] = this.#found.keys()
    if (this.#found.size > MAX_FOUND && oldest !== undefined) this.#found.delete(oldest)
    return kept
  }

  #keyIn(json: unknown, kid: string): VerificationKey | undefined {
    try {
      return parseJwks(json, this.#parse).find((key) => key.kid === kid)
    } catch (failure) {
      throw failure instanceof KeySetError ? named(failure, this.#issuer) : failure
    }
  }
}

const parseOptions = ({ uses, algorithms }: RemoteKeysOptions): ParseJwksOptions => ({
  ...(uses && { uses }),
  algorithms,
})

/** The keys of the second map are those objects of the first that have not changed. */
const hasSameKeys = (a: KeyMap, b: KeyMap) =>
  a.size === b.size && [...b].every(([kid, key]) => a.get(kid) === key)

/** Adds the issuer to the error, because the error reaches clients of a verifier that may have several. */
const named = (failure: KeySetError, issuer: string) =>
  new KeySetError(failure.reason, `The key set of ${issuer} is rejected. ${failure.message}`, {
    cause: failure,
    unusable: failure.unusable,
  })
