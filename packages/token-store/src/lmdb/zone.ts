import { randomInt } from 'node:crypto'
import type { Database, Key } from 'lmdb'
import { Listeners } from '../listeners.ts'
import {
  type Change,
  checked,
  type Lease,
  type SeenEntry,
  type StoredEntry,
  StoreUnavailableError,
  WATCH_WINDOW_MS,
  type Zone,
} from '../shared-store.ts'
import type { LmdbRoom, WriteKind } from './room.ts'
import type { LmdbWrites } from './writes.ts'

/** Five polls within the watch window, at a microsecond each. */
const POLL_MS = 100
/**
 * How far each poll looks back, for changes that were committed after later ones. A commit takes milliseconds; the change of
 * one that took half of this time or more is told again.
 */
const LATE_COMMIT_US = 2_000_000
/** How long changes are stored, for processes that were suspended. */
const KEEP_CHANGES_US = 60_000_000
const SWEEP_MS = 1_000
/** The maximum number of removals per sweep, so that no request waits for one. */
const SWEEP_BATCH = 2_000

/** Two megabytes of the largest usual values: reading a page takes a few milliseconds, in which no request is served. */
const LIST_PAGE = 100

type Record = readonly [value: string, endsAt: number]
type ChangeKey = [microseconds: number, nonce: number]

export type OpenDatabase = <V, K extends Key>(part: string, versions: boolean) => Database<V, K>

export interface LmdbZoneOptions {
  readonly openDatabase: OpenDatabase
  readonly room: LmdbRoom
  readonly writes: LmdbWrites
  readonly pinned: boolean
  readonly clock: () => number
}

/**
 * One zone of an lmdb store, in four databases: the entries, their keys by expiry (for the sweep), the leases, and
 * the changes of the last minute (which every process polls ten times per second, because lmdb has no messages).
 */
export class LmdbZone implements Zone {
  readonly #openDatabase: OpenDatabase
  readonly #room: LmdbRoom
  readonly #limits: LmdbWrites
  readonly #kind: WriteKind
  readonly #writes = new Set<Promise<unknown>>()
  #open = false
  readonly #clock: () => number
  readonly #listeners = new Listeners()
  readonly #seen = new Set<string>()
  #entries!: Database<Record, string>
  #ends!: Database<true, [endsAt: number, key: string]>
  #leases!: Database<number, string>
  #changes!: Database<string, ChangeKey>
  #timers: NodeJS.Timeout[] = []
  #polledAt = Number.NEGATIVE_INFINITY
  /** The machine's time of the last poll, in microseconds. */
  #polledUntil = 0

  constructor({ openDatabase, room, writes, pinned, clock }: LmdbZoneOptions) {
    this.#openDatabase = openDatabase
    this.#room = room
    this.#limits = writes
    this.#kind = pinned ? 'vital' : 'entry'
    this.#clock = clock
  }

  start(): void {
    this.#entries = this.#openDatabase('entries', true)
    this.#ends = this.#openDatabase('ends', false)
    this.#leases = this.#openDatabase('leases', true)
    this.#changes = this.#openDatabase('changes', false)
    this.#open = true
    this.#poll(true)
    this.#timers = [
      setInterval(() => this.#try(() => this.#poll()), POLL_MS),
      setInterval(() => this.#try(() => this.sweep()), SWEEP_MS),
    ]
    for (const timer of this.#timers) timer.unref()
    // The listeners do not know earlier changes.
    this.#listeners.tell('missed')
  }

  /** Ignores errors: after a failed poll, {@link isWatching} becomes false; a failed sweep is retried. */
  #try(work: () => void): void {
    try {
      work()
    } catch {}
  }

  /** Resolves when all writes are done: lmdb must not be closed during a write. */
  async stop(): Promise<void> {
    this.#open = false
    for (const timer of this.#timers) clearInterval(timer)
    this.#polledAt = Number.NEGATIVE_INFINITY
    await Promise.allSettled(this.#writes)
  }

  async get(key: string): Promise<SeenEntry | undefined> {
    this.#begin()
    return this.#read(key)
  }

  async replace(key: string, seen: SeenEntry | undefined, entry: StoredEntry): Promise<boolean> {
    const next = checked(key, entry)
    this.#begin()
    const bytes = sizeOf(next)
    this.#admit(this.#kind, bytes)
    const write = () => this.#write(key, next)
    if (seen) return this.#finish(this.#entries.ifVersion(key, seen.version as number, write), bytes)
    // An expired entry may still be stored; to the caller it was absent.
    const ended = this.#entries.getEntry(key)
    if (!ended) return this.#finish(this.#entries.ifNoExists(key, write), bytes)
    if (ended.value[1] > this.#clock()) return false
    return this.#finish(this.#entries.ifVersion(key, ended.version as number, write), bytes)
  }

  async overrule(key: string, entry: StoredEntry | undefined): Promise<void> {
    const next = checked(key, entry)
    this.#begin()
    const bytes = sizeOf(next)
    this.#admit(next ? this.#kind : 'vital', bytes)
    await this.#change(key, bytes, () => {
      if (next) this.#write(key, next)
      else this.#quietly(this.#entries.remove(key))
    })
  }

  async announce(key: string): Promise<void> {
    this.#begin()
    this.#admit('vital')
    await this.#change(key, 0, () => {})
  }

  async clear(): Promise<void> {
    this.#begin()
    this.#admit('vital')
    await this.#finish(this.#entries.clearAsync())
    await this.announce('')
  }

  async lease(key: string, milliseconds: number): Promise<Lease | undefined> {
    this.#begin()
    const held = this.#leases.getEntry(key)
    const now = this.#clock()
    if (held && held.value > now) return undefined
    this.#admit(this.#kind)
    const version = newVersion()
    const taken = await this.#finish(
      this.#leases.put(
        key,
        now + milliseconds,
        version,
        // `null` means: only if the key is absent.
        (held?.version ?? null) as number,
      ),
    )
    if (!taken) return undefined
    const extend = async (more: number) => {
      this.#begin()
      // The reserve is for this, too: work that has begun must not end for lack of room.
      this.#admit('vital')
      const seen = this.#leases.getEntry(key)
      if (seen?.version !== version || seen.value <= this.#clock()) return false
      return this.#finish(this.#leases.put(key, this.#clock() + more, version, version))
    }
    // If the release fails because the store is closing or the disk is full, the lease expires on its own.
    const release = async () => {
      try {
        this.#begin()
        this.#admit('vital')
        await this.#finish(this.#leases.remove(key, version))
      } catch {}
    }
    return { extend, release }
  }

  async *entries(): AsyncIterable<readonly [string, StoredEntry]> {
    this.#begin()
    let from: string | undefined
    for (;;) {
      // In pages: an open cursor would keep lmdb from reusing pages written meanwhile.
      this.#begin()
      const page = Array.from(
        this.#entries.getRange({
          ...(from === undefined ? {} : { start: from }),
          limit: LIST_PAGE,
        }),
      )
      const now = this.#clock()
      for (const { key, value } of page)
        if (key !== from && value[1] > now) yield [key, { value: value[0], endsAt: value[1] }]
      const last = page.at(-1)?.key
      if (last === undefined || last === from) return
      from = last
    }
  }

  async count(): Promise<number> {
    this.#begin()
    return (this.#entries.getStats() as { entryCount: number }).entryCount
  }

  watch(listener: (change: Change) => void): void {
    this.#listeners.add(listener)
  }

  isWatching(): boolean {
    return performance.now() - this.#polledAt < WATCH_WINDOW_MS
  }

  /** Removes expired entries, leases and changes. Safe to run in several processes at the same time. */
  sweep(): void {
    if (this.#limits.isBlocked) return
    const room = this.#room.removals
    let left = Math.max(0, Math.min(SWEEP_BATCH, room))
    const removals: Promise<unknown>[] = []
    const remove = (removal: Promise<unknown>) => {
      left -= 1
      removals.push(this.#finish(removal))
    }
    const now = this.#clock()
    for (const [endsAt, key] of Array.from(
      this.#ends.getKeys({ start: [0, ''], end: [now, '\uffff'], limit: left }),
    )) {
      if (left <= 0) break
      remove(this.#ends.remove([endsAt, key]))
      const entry = this.#entries.getEntry(key)
      if (entry && entry.value[1] <= now) remove(this.#entries.remove(key, entry.version as number))
    }
    for (const { key, value } of this.#leases.getRange({ limit: Math.max(0, left) }))
      if (value <= now) remove(this.#leases.remove(key, this.#leases.getEntry(key)?.version as number))
    const oldest = microseconds() - KEEP_CHANGES_US
    for (const change of this.#changes.getKeys({ end: [oldest, 0], limit: Math.max(0, left) }))
      remove(this.#changes.remove(change))
    const hasMore = left <= 0 && removals.length > 0
    // With little free space, batches are small; then continue immediately instead of waiting for the interval.
    void Promise.allSettled(removals).then(() => hasMore && this.#try(() => this.sweep()))
  }

  /** Begins a call with a new read transaction, so that it sees the current data and not an earlier snapshot. */
  #begin(): void {
    if (!this.#open) throw new StoreUnavailableError(new Error('closed'))
    this.#entries.resetReadTxn()
  }

  /** @throws {StoreLockedError} or {@link StoreFullError} if a write must not be tried */
  #admit(kind: WriteKind, bytes = 0): void {
    this.#limits.admit()
    this.#room.admit(kind, bytes)
  }

  /** Returns the result of a write and registers the write with {@link stop}. @throws {StoreUnavailableError} if it fails */
  #finish<T>(write: Promise<T>, bytes = 0): Promise<T> {
    const done: Promise<T> = this.#room
      .during(write, bytes)
      .catch((error: unknown) => {
        forgetCommitError(error)
        throw new StoreUnavailableError(error)
      })
      .finally(() => this.#writes.delete(done))
    this.#writes.add(done)
    return this.#limits.bounded(done)
  }

  /** Ignores the failure of a write that another write reports, or that is retried. */
  #quietly(write: Promise<unknown>): void {
    write.catch(forgetCommitError)
  }

  #read(key: string): SeenEntry | undefined {
    const entry = this.#entries.getEntry(key)
    if (!entry || entry.value[1] <= this.#clock()) return undefined
    return { value: entry.value[0], endsAt: entry.value[1], version: entry.version as number }
  }

  #write(key: string, { value, endsAt }: StoredEntry): void {
    this.#quietly(this.#entries.put(key, [value, endsAt], newVersion()))
    this.#quietly(this.#ends.put([endsAt, key], true))
  }

  /** Writes, and notifies every process in the same transaction. */
  async #change(key: string, bytes: number, write: () => void): Promise<void> {
    const begun = microseconds()
    const change: ChangeKey = [begun, newVersion()]
    const commit = this.#entries.batch(() => {
      write()
      this.#quietly(this.#changes.put(change, key))
    })
    // The others no longer look for a change of this time, e.g. after this process was suspended: notify them again.
    commit.then(() => {
      if (microseconds() - begun > LATE_COMMIT_US / 2)
        this.#limits.whenFree(() => void this.announce(key).catch(() => {}))
    }, forgetCommitError)
    await this.#finish(commit, bytes)
    // The listeners of this process hear of it now and not again at the next poll.
    this.#tell(change, key)
  }

  /** Tells the listeners of a change, unless they know it. */
  #tell(change: ChangeKey, key: string): void {
    const id = change.join(' ')
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    this.#listeners.tell(key === '' ? 'cleared' : { key })
  }

  /** Reads the changes that were committed since the last poll, and so made at most {@link LATE_COMMIT_US} before it. */
  #poll(first = false): void {
    this.#begin()
    const now = performance.now()
    if (!first && now - this.#polledAt > KEEP_CHANGES_US / 2_000) this.#listeners.tell('missed')
    const time = microseconds()
    const since = first ? 0 : this.#polledUntil - LATE_COMMIT_US
    for (const { key: change, value: key } of this.#changes.getRange({ start: [since, 0] })) {
      // From before a reboot, which resets the monotonic clock.
      if (change[0] > time) {
        if (!this.#limits.isBlocked) this.#quietly(this.#finish(this.#changes.remove(change)))
      } else if (first) this.#seen.add(change.join(' '))
      else this.#tell(change, key)
    }
    for (const id of this.#seen) {
      if (Number.parseInt(id, 10) >= since - LATE_COMMIT_US) break
      this.#seen.delete(id)
    }
    this.#polledAt = now
    this.#polledUntil = time
  }
}

const sizeOf = (entry: StoredEntry | undefined): number =>
  entry === undefined ? 0 : Buffer.byteLength(entry.value)

/** Returns a random version that no earlier write of the key has. */
const newVersion = (): number => randomInt(1, 2 ** 48 - 1)

/** Returns the machine's monotonic time, which is the same in all processes and cannot be set back. */
const microseconds = (): number => Number(process.hrtime.bigint() / 1000n)

/** lmdb reports a failed commit also as a separate promise, whose unhandled rejection would crash the process. */
function forgetCommitError(error: unknown): void {
  const { commitError } = error as { commitError?: Promise<unknown> }
  commitError?.catch(() => {})
}
