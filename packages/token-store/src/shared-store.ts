/** What a zone keeps under a key. */
export interface StoredEntry {
  readonly value: string
  /** Milliseconds since the epoch; from then on the entry is gone. */
  readonly endsAt: number
}

/** An entry as it was read; {@link Zone.replace} takes it as proof that nobody has written since. */
export interface SeenEntry extends StoredEntry {
  /** Differs between any two writes of a key. */
  readonly version: string | number
}

/** The right to do something that one process of the tier may do at a time. */
export interface Lease {
  release(): Promise<void>
}

/** What a process hears of a zone; see {@link Zone.watch}. */
export type Change =
  /** The entry of this key was overruled, or announced. */
  | { readonly key: string }
  /** Every entry was removed on purpose ({@link Zone.clear}). */
  | 'cleared'
  /** Any entry may have changed: changes may have been missed. */
  | 'missed'
  /** The store has lost its entries without anyone having removed them, e.g. by FLUSHALL or an empty failover. */
  | 'emptied'

/**
 * Entries that every process of the tier sees. Two kinds of writers meet here: the cache, which must never undo what
 * an operator wrote ({@link Zone.replace}), and the operator, whose word every process must hear ({@link Zone.overrule}).
 */
export interface Zone {
  /** The entry as the tier knows it now, or `undefined` when there is none or its end has come. */
  get(key: string): Promise<SeenEntry | undefined>
  /** Writes only when the entry is still the one that was `seen` (compare and set); tells nobody. */
  replace(key: string, seen: SeenEntry | undefined, next: StoredEntry): Promise<boolean>
  /** Writes, or removes, whatever is there, and tells every process. */
  overrule(key: string, next: StoredEntry | undefined): Promise<void>
  /** Has every process hear of a key, e.g. after {@link Zone.replace}. */
  announce(key: string): Promise<void>
  /** Removes all entries and tells every process. */
  clear(): Promise<void>
  /** A lease that ends by itself after `milliseconds`, or `undefined` while somebody else has it. */
  lease(key: string, milliseconds: number): Promise<Lease | undefined>
  /** All entries that have not ended; what is written meanwhile may or may not be among them. */
  entries(): AsyncIterable<readonly [key: string, entry: StoredEntry]>
  /** How many entries there are; those that have just ended may still be counted. */
  count(): Promise<number>
  /** Calls `listener` with each {@link Change}, made by this process or another; it must not throw. */
  watch(listener: (change: Change) => void): void
  /**
   * True while every change older than half a second has reached the listeners. Whoever keeps copies
   * must ask `get` before using one when this is false.
   */
  isWatching(): boolean
}

export interface ZoneOptions {
  /**
   * Entries that are never dropped to make room for others (Redis evicts what has an expiry of its own), and that may
   * be written when nothing else may. For few, small entries that must not be lost.
   */
  readonly pinned?: boolean
}

export interface StoreOptions {
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  /** Called once for each state of the store that its operator should know of: full, recovered, emptied, misconfigured. */
  readonly onNotice?: (notice: string) => void
}

/** The place that the processes of a tier share; one zone never sees the keys of another. */
export interface SharedStore {
  readonly kind: 'lmdb' | 'redis'
  /** True while the store takes no new entries, except those of pinned zones if it can. */
  readonly isFull: boolean
  /** Resolves even when a store across the network is not there yet: calls fail until it is. */
  open(): Promise<void>
  close(): Promise<void>
  /** The same object for the same name. */
  zone(name: string, options?: ZoneOptions): Zone
  /**
   * Throws a {@link StoreUnavailableError} when the store does not answer, a {@link StoreFullError} when it has no room,
   * and an {@link UnsafeStoreError} when its configuration could lose pinned entries.
   */
  check(): Promise<void>
  /** What the store takes; undefined figures are unknown. */
  usage(): Promise<StoreUsage>
}

export interface StoreUsage {
  readonly usedBytes?: number
  /** Where the store begins to evict, or to refuse entries. */
  readonly maxBytes?: number
  /** Redis's `maxmemory-policy`. */
  readonly evictionPolicy?: string
}

/** The store did not answer, or answered with an error; nothing is known about the entry. */
export class StoreUnavailableError extends Error {
  override readonly name: string = 'StoreUnavailableError'

  constructor(cause: unknown) {
    super(`The shared store is not available (${(cause as Error)?.message || String(cause)}).`, { cause })
  }
}

/** The store has no room for the entry; it was not written. */
export class StoreFullError extends StoreUnavailableError {
  override readonly name = 'StoreFullError'

  constructor(reason: string) {
    super(new Error(reason))
    this.message = `The shared store is full (${reason}).`
  }
}

/** The store answers, but its configuration could lose what must not be lost. */
export class UnsafeStoreError extends Error {
  override readonly name = 'UnsafeStoreError'
}

/** What a process may not know about a change for at most this long; see {@link Zone.isWatching}. */
export const WATCH_WINDOW_MS = 500
