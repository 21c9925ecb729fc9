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
  /** Removes all entries and tells every process. */
  clear(): Promise<void>
  /** A lease that ends by itself after `milliseconds`, or `undefined` while somebody else has it. */
  lease(key: string, milliseconds: number): Promise<Lease | undefined>
  /** All entries that have not ended; what is written meanwhile may or may not be among them. */
  entries(): AsyncIterable<readonly [key: string, entry: StoredEntry]>
  /** How many entries there are; those that have just ended may still be counted. */
  count(): Promise<number>
  /**
   * Calls `listener` with each key that was overruled, by this process or another; without a key when any may have
   * been, because the zone was cleared or changes may have been missed.
   */
  watch(listener: (key: string | undefined) => void): void
  /**
   * True while every change older than half a second has reached the listeners. Whoever keeps copies
   * must ask `get` before using one when this is false.
   */
  isWatching(): boolean
}

/** The place that the processes of a tier share; one zone never sees the keys of another. */
export interface SharedStore {
  readonly kind: 'lmdb' | 'redis'
  /** Resolves even when a store across the network is not there yet: calls fail until it is. */
  open(): Promise<void>
  close(): Promise<void>
  /** The same object for the same name. */
  zone(name: string): Zone
  /** Throws a {@link StoreUnavailableError} when the store does not answer. */
  check(): Promise<void>
}

/** The store did not answer, or answered with an error; nothing is known about the entry. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'

  constructor(cause: unknown) {
    super(`The shared store is not available (${(cause as Error)?.message || String(cause)}).`, { cause })
  }
}

/** What a process may not know about a change for at most this long; see {@link Zone.isWatching}. */
export const WATCH_WINDOW_MS = 500

/** Tells the listeners of one zone, and never lets one that throws keep the others from hearing. */
export class Listeners {
  readonly #listeners: ((key: string | undefined) => void)[] = []

  add(listener: (key: string | undefined) => void): void {
    this.#listeners.push(listener)
  }

  tell(key: string | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener(key)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
