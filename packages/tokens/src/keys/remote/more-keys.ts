import { Permits } from '@hallpass/untrusted/permits'
import { isSameKey, KeySetError, MAX_KID_LENGTH, type ParseJwksOptions, parseJwks } from '../jwks.ts'
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

/** Keys beside the set; some 2 KB each. The services that one verifier accepts are far fewer. */
const MAX_FOUND = 1_000
/**
 * How many loads of keys that do not exist are allowed per cooldown; loads that find their key are free. More than one,
 * because else one made-up kid would shut out every real key that is not known yet.
 */
const MAX_MISSES = 20

interface FoundKey {
  readonly key: VerificationKey
  readonly loadedAt: number
}

/** The keys of an issuer that are not in its set, each loaded when a token names it. */
export class MoreRemoteKeys {
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

  /**
   * @throws what `loadKey` threw or a KeySetError, if the key is not known
   * @throws {KeyNotLoadedError} if it may not be loaded now
   * @throws what `beforeLoad` throws
   */
  find(
    kid: string,
    beforeLoad?: () => void,
  ): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    const found = this.#found.get(kid)
    const age = found ? this.#clock() - found.loadedAt : Number.POSITIVE_INFINITY
    if (found && age < this.#maxAgeMs) {
      if (age >= this.#maxAgeMs * REFRESH_AHEAD) void this.#load(kid)?.catch(() => {})
      return found.key
    }
    const stale = found && age < this.#maxStaleMs ? found.key : undefined
    if (kid.length > MAX_KID_LENGTH) return undefined
    if (!stale) beforeLoad?.()
    const loading = this.#load(kid)
    if (!loading) {
      if (stale) return stale
      throw new KeyNotLoadedError(this.#issuer, this.#permits.nextInMs)
    }
    return stale ? loading.catch(() => stale) : loading
  }

  /** See `withdrawnAt` of KeyFinder. */
  async withdrawnAt(key: KeyIdentity): Promise<number | undefined> {
    const now = this.#clock()
    const known = this.#found.get(key.kid)
    try {
      const current = await this.find(key.kid)
      return current && isKey(current, key) ? undefined : now
    } catch {
      return known && now - known.loadedAt >= this.#maxStaleMs ? Number.POSITIVE_INFINITY : undefined
    }
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
