import type { Zone } from '@hallpass/token-store'
import type { CachedToken, CacheEntry } from './cached-token.ts'
import { RecentCopies } from './recent-copies.ts'

export interface LocalCopiesOptions {
  /** The tokens, by the keys of their identities. */
  readonly zone: Zone
  readonly clock: () => number
  /** The maximum number of entries in this process, in front of the store. */
  readonly maxCopies: number
}

/** An entry in the memory of this process. */
export interface Copy {
  readonly entry: CacheEntry
  /** The copy is up to date while this is the current epoch. */
  readonly epoch: number
  /** The token's own renewal time, or later if a renewal has just been tried. */
  renewAt: number
  /** Until then, the issuer is not called again, and a token that is no longer fresh is used. */
  retryAt: number
}

/** The epoch of a copy that was made during a change: it is unknown which came first, so the copy is never up to date. */
const NEVER = -1
/** The delay after a renewal failed or while another process is renewing. */
const RENEW_AGAIN_MS = 1_000

/** The entries that this process has seen in the store, and which of them are up to date. */
export class LocalCopies {
  readonly #zone: Zone
  readonly #clock: () => number
  readonly #copies: RecentCopies<Copy>
  /** Increases when any entry can have changed; older copies are then used only if the store is unavailable. */
  #epoch = 0
  /** The epoch whose copies are written back to a store that has lost its data. */
  #lostEpoch = NEVER
  #changes = 0

  constructor({ zone, clock, maxCopies }: LocalCopiesOptions) {
    this.#zone = zone
    this.#clock = clock
    this.#copies = new RecentCopies(maxCopies)
    zone.watch((change) => {
      this.#changes += 1
      if (typeof change !== 'string') {
        this.#copies.delete(change.key)
        return
      }
      if (change === 'emptied') this.#lostEpoch = this.#epoch
      this.#epoch += 1
    })
  }

  get size(): number {
    return this.#copies.size
  }

  /** Increases with every change notification. */
  get changes(): number {
    return this.#changes
  }

  /** Returns the copy if it is up to date. */
  current(key: string): Copy | undefined {
    const copy = this.#copies.get(key)
    return copy && copy.epoch === this.#epoch && this.#zone.isWatching() ? copy : undefined
  }

  /** Returns the copy, up to date or not. */
  any(key: string): Copy | undefined {
    return this.#copies.get(key)
  }

  /** Returns the copy of a token that the store has lost. */
  lost(key: string): CachedToken | undefined {
    const copy = this.#copies.get(key)
    if (copy?.epoch !== this.#lostEpoch || copy.entry.kind !== 'token') return undefined
    return copy.entry.freshUntil > this.#clock() ? copy.entry : undefined
  }

  /** @param changes the value of {@link changes} before the entry was read or written. */
  keep(key: string, entry: CacheEntry, changes: number): void {
    const renewAt = entry.kind === 'token' ? entry.renewAt : 0
    const known = this.#copies.get(key)
    const same = known?.entry.kind === 'token' && entry.kind === 'token' && known.entry.jti === entry.jti
    this.#copies.set(key, {
      entry,
      epoch: changes === this.#changes ? this.#epoch : NEVER,
      renewAt: same ? Math.max(renewAt, known.renewAt) : renewAt,
      retryAt: same ? known.retryAt : 0,
    })
  }

  /** Delays the next renewal: one has just started. */
  renewLater(copy: Copy): void {
    copy.renewAt = this.#clock() + RENEW_AGAIN_MS
  }

  /** Delays the next call to the issuer: one has just failed. */
  postpone(key: string): void {
    const copy = this.#copies.get(key)
    if (copy) copy.retryAt = copy.renewAt = this.#clock() + RENEW_AGAIN_MS
  }
}
