/** What a zone stores under a key. */
export interface StoredEntry {
  readonly value: string
  /** Expiry time, in milliseconds since the epoch; a fraction is rounded up. */
  readonly endsAt: number
}

/** An entry as read; {@link Zone.replace} uses its version to detect writes since then. */
export interface SeenEntry extends StoredEntry {
  /** Different for any two writes of a key. */
  readonly version: string | number
}

/** The right to do something that only one process of the tier may do at a time. */
export interface Lease {
  /**
   * Makes the lease expire `milliseconds` from now, for work that takes longer than expected. Returns false if it has expired
   * meanwhile, so that another process may hold it: the work must stop.
   */
  extend(milliseconds: number): Promise<boolean>
  /** Never rejects: if the store is unavailable, the lease expires on its own. */
  release(): Promise<void>
}

/** A change of a zone, as reported by {@link Zone.watch}. */
export type Change =
  /** The entry of this key was overruled, or announced. */
  | { readonly key: string }
  /** Every entry was removed on purpose ({@link Zone.clear}). */
  | 'cleared'
  /** Changes may have been missed, so any entry may have changed. */
  | 'missed'
  /** The store has lost its entries, e.g. by FLUSHALL or a failover without data. */
  | 'emptied'

/**
 * The maximum size of a value, in bytes of UTF-8: a thousand times the usual token, and so small that lmdb and Redis move one
 * within a millisecond, while others wait.
 */
export const MAX_VALUE_BYTES = 256 * 1024
/** The maximum size of a key, in bytes of UTF-8; lmdb's own limit is 1978 for the key and its expiry. */
export const MAX_KEY_BYTES = 1024

/**
 * Checks what is to be written, and returns the entry with an expiry in whole milliseconds: the `exp` of a token may have a
 * fraction (RFC 7519 §2).
 * @throws {RangeError} if the key or the value is too large, or the expiry is not a time
 */
export function checked<Entry extends StoredEntry | undefined>(key: string, next: Entry): Entry {
  const keyBytes = Buffer.byteLength(key)
  if (keyBytes > MAX_KEY_BYTES)
    throw new RangeError(`A key in the store has at most ${MAX_KEY_BYTES} bytes, this one has ${keyBytes}.`)
  const bytes = next === undefined ? 0 : Buffer.byteLength(next.value)
  if (bytes > MAX_VALUE_BYTES)
    throw new RangeError(`A value in the store has at most ${MAX_VALUE_BYTES} bytes, this one has ${bytes}.`)
  if (next === undefined) return next
  const endsAt = Math.ceil(next.endsAt)
  if (!Number.isSafeInteger(endsAt)) throw new RangeError(`An expiry is a time, not ${next.endsAt}.`)
  return { ...next, endsAt }
}

/**
 * Entries that every process of the tier shares. There are two kinds of writers: the cache, which must never overwrite an
 * operator's change ({@link Zone.replace}), and the operator, whose changes are reported to every process
 * ({@link Zone.overrule}).
 */
export interface Zone {
  /** Returns the current entry, or undefined if there is none or it has expired. */
  get(key: string): Promise<SeenEntry | undefined>
  /**
   * Writes only if the entry is still the one that was `seen` (compare and set). Notifies no other process.
   * @throws {RangeError} if the key or value exceeds {@link MAX_KEY_BYTES} or {@link MAX_VALUE_BYTES}, or if `endsAt` is not
   *   a finite number; so does `overrule`
   */
  replace(key: string, seen: SeenEntry | undefined, next: StoredEntry): Promise<boolean>
  /** Writes or removes an entry unconditionally and notifies every process. */
  overrule(key: string, next: StoredEntry | undefined): Promise<void>
  /** Notifies every process of a key, e.g. after {@link Zone.replace}. */
  announce(key: string): Promise<void>
  /** Removes all entries and notifies every process. */
  clear(): Promise<void>
  /** Acquires a lease that expires after `milliseconds`; returns undefined while another holder has it. */
  lease(key: string, milliseconds: number): Promise<Lease | undefined>
  /**
   * Lists all unexpired entries, each once. An entry that is written or removed during the call is not necessarily included.
   */
  entries(): AsyncIterable<readonly [key: string, entry: StoredEntry]>
  /** Returns the number of entries, which may include some that have just expired. */
  count(): Promise<number>
  /** Calls `listener` with each {@link Change}, made by this process or another; it must not throw. */
  watch(listener: (change: Change) => void): void
  /**
   * Returns true while every change older than half a second has reached the listeners. If false, a process with cached
   * copies must call `get` before using one.
   */
  isWatching(): boolean
}

export interface ZoneOptions {
  /**
   * Marks entries that are never evicted to make room for others (Redis evicts keys with an expiry) and that may
   * be written when other entries are rejected. For entries that must not be lost, which must be so few that they fit into the memory.
   */
  readonly pinned?: boolean
}

export interface StoreOptions {
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  /** Called once for each state of the store that the operator should know: full, recovered, emptied, misconfigured. */
  readonly onNotice?: (notice: string) => void
  /** What to do if the files of an embedded store are damaged, as a sentence. */
  readonly remedy?: string
}

/** The store that the processes of a tier share. Zones have separate keys. */
export interface SharedStore {
  readonly kind: 'lmdb' | 'redis'
  /** True while the store rejects new entries, except those of pinned zones if possible. */
  readonly isFull: boolean
  /** Opens the store. Resolves even if a remote store is unreachable; calls then fail until it is reachable. */
  open(): Promise<void>
  close(): Promise<void>
  /** Returns the zone with this name, always the same object. */
  zone(name: string, options?: ZoneOptions): Zone
  /**
   * Checks the store.
   * @throws {StoreUnavailableError} if it does not answer
   * @throws {StoreLockedError} if it answers reads, but another process blocks writes
   * @throws {StoreFullError} if it has no room
   * @throws {UnsafeStoreError} if its configuration could lose pinned entries
   */
  check(): Promise<void>
  /** Returns the store's memory figures; unknown figures are undefined. */
  usage(): Promise<StoreUsage>
}

export interface StoreUsage {
  readonly usedBytes?: number
  /** The size at which the store begins to evict or reject entries. */
  readonly maxBytes?: number
  /** Redis's `maxmemory-policy`. */
  readonly evictionPolicy?: string
}

/** Thrown if the store does not answer, or answers with an error; the state of the entry is unknown. */
export class StoreUnavailableError extends Error {
  override readonly name: string = 'StoreUnavailableError'

  constructor(cause: unknown) {
    super(`The shared store is not available (${(cause as Error)?.message || String(cause)}).`, { cause })
  }
}

/** Thrown if the store has no room; the entry was not written. */
export class StoreFullError extends StoreUnavailableError {
  override readonly name = 'StoreFullError'

  constructor(reason: string) {
    super(new Error(reason))
    this.message = `The shared store is full (${reason}).`
  }
}

/**
 * Thrown if another process on this machine blocks all writes, e.g. because it was stopped while it wrote. Reads continue.
 * Writes are tried again when that process continues or ends.
 */
export class StoreLockedError extends StoreUnavailableError {
  override readonly name = 'StoreLockedError'

  constructor(reason: string) {
    super(new Error(reason))
    this.message = `Writes to the shared store are blocked (${reason}).`
  }
}

/** Thrown if the store answers, but its configuration could lose pinned entries. */
export class UnsafeStoreError extends Error {
  override readonly name = 'UnsafeStoreError'
}

/** The maximum delay until a process learns of a change; see {@link Zone.isWatching}. */
export const WATCH_WINDOW_MS = 500
