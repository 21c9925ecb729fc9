import { randomInt } from 'node:crypto'
import type { Database, Key } from 'lmdb'
import { Listeners } from './listeners.ts'
import type { LmdbRoom } from './lmdb-room.ts'
import {
  type Change,
  type Lease,
  type SeenEntry,
  type StoredEntry,
  StoreUnavailableError,
  WATCH_WINDOW_MS,
  type Zone,
} from './shared-store.ts'

/** Five looks within the watch window, at a microsecond each. */
const LOOK_MS = 100
/** A change that took longer than this to be committed could be overlooked; a commit takes milliseconds. */
const LATE_COMMIT_US = 10_000_000
/** Changes are kept this long, for processes that were suspended. */
const KEEP_CHANGES_US = 60_000_000
const SWEEP_MS = 1_000
/** What one sweep removes at most, so that no request waits behind it. */
const SWEEP_BATCH = 2_000

type Record = readonly [value: string, endsAt: number]
type ChangeKey = [microseconds: number, nonce: number]

export type OpenDatabase = <V, K extends Key>(part: string, versions: boolean) => Database<V, K>

export interface LmdbZoneOptions {
  readonly openDatabase: OpenDatabase
  readonly room: LmdbRoom
  readonly pinned: boolean
  readonly clock: () => number
}

/**
 * One zone of an lmdb store, in four databases: the entries, their keys by end (so that the sweep finds what has
 * ended), the leases, and the changes of the last minute (which every process looks at ten times a second: lmdb has
 * no messages).
 */
export class LmdbZone implements Zone {
  readonly #openDatabase: OpenDatabase
  readonly #room: LmdbRoom
  readonly #kind: 'entry' | 'vital'
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
  #lookedAt = Number.NEGATIVE_INFINITY
  #newestChange = 0

  constructor({ openDatabase, room, pinned, clock }: LmdbZoneOptions) {
    this.#openDatabase = openDatabase
    this.#room = room
    this.#kind = pinned ? 'vital' : 'entry'
    this.#clock = clock
  }

  start(): void {
    this.#entries = this.#openDatabase('entries', true)
    this.#ends = this.#openDatabase('ends', false)
    this.#leases = this.#openDatabase('leases', true)
    this.#changes = this.#openDatabase('changes', false)
    this.#open = true
    this.#look(true)
    this.#timers = [
      setInterval(() => this.#try(() => this.#look()), LOOK_MS),
      setInterval(() => this.#try(() => this.sweep()), SWEEP_MS),
    ]
    for (const timer of this.#timers) timer.unref()
    // What was there before is unknown to the listeners.
    this.#listeners.tell('missed')
  }

  /** A look that fails leaves {@link isWatching} to say so; a sweep is tried again. */
  #try(work: () => void): void {
    try {
      work()
    } catch {}
  }

  /** Resolves when nothing is being written any more; an environment must not be closed under a write. */
  async stop(): Promise<void> {
    this.#open = false
    for (const timer of this.#timers) clearInterval(timer)
    this.#lookedAt = Number.NEGATIVE_INFINITY
    await Promise.allSettled(this.#writes)
  }

  async get(key: string): Promise<SeenEntry | undefined> {
    this.#begin()
    return this.#read(key)
  }

  async replace(key: string, seen: SeenEntry | undefined, next: StoredEntry): Promise<boolean> {
    this.#begin()
    this.#room.admit(this.#kind)
    const write = () => this.#write(key, next)
    if (seen) return this.#finish(this.#entries.ifVersion(key, seen.version as number, write))
    // An entry that has ended may still be there; to the caller it was absent.
    const ended = this.#entries.getEntry(key)
    if (!ended) return this.#finish(this.#entries.ifNoExists(key, write))
    if (ended.value[1] > this.#clock()) return false
    return this.#finish(this.#entries.ifVersion(key, ended.version as number, write))
  }

  async overrule(key: string, next: StoredEntry | undefined): Promise<void> {
    this.#begin()
    this.#room.admit(next ? this.#kind : 'vital')
    await this.#finish(
      this.#entries.batch(() => {
        if (next) this.#write(key, next)
        else this.#quietly(this.#entries.remove(key))
        this.#tell(key)
      }),
    )
    this.#look()
  }

  async announce(key: string): Promise<void> {
    this.#begin()
    this.#room.admit('vital')
    await this.#finish(this.#entries.batch(() => this.#tell(key)))
    this.#look()
  }

  async clear(): Promise<void> {
    this.#begin()
    this.#room.admit('vital')
    await this.#finish(this.#entries.clearAsync())
    await this.announce('')
  }

  async lease(key: string, milliseconds: number): Promise<Lease | undefined> {
    this.#begin()
    const held = this.#leases.getEntry(key)
    const now = this.#clock()
    if (held && held.value > now) return undefined
    this.#room.admit(this.#kind)
    const version = newVersion()
    const taken = await this.#finish(
      this.#leases.put(
        key,
        now + milliseconds,
        version,
        // `null` means: only when there is none.
        (held?.version ?? null) as number,
      ),
    )
    if (!taken) return undefined
    // A lease that cannot be given back, because the store is closing or its disk is full, lapses.
    const release = async () => {
      try {
        this.#begin()
        this.#room.admit('vital')
        await this.#finish(this.#leases.remove(key, version))
      } catch {}
    }
    return { release }
  }

  async *entries(): AsyncIterable<readonly [string, StoredEntry]> {
    this.#begin()
    let from: string | undefined
    for (;;) {
      // In pages: an open cursor would hold every page that is written meanwhile.
      this.#begin()
      const page = Array.from(
        this.#entries.getRange({
          ...(from === undefined ? {} : { start: from }),
          limit: 500,
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
    return performance.now() - this.#lookedAt < WATCH_WINDOW_MS
  }

  /** Removes what has ended; every process does it now and then, and together they do no harm. */
  sweep(): void {
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
    const isCut = left <= 0 && removals.length > 0
    // With little room the batches are small; then the next one need not wait for its time.
    void Promise.allSettled(removals).then(() => isCut && this.#try(() => this.sweep()))
  }

  /** Begins a call: what it reads is what is there now, not what an earlier read of this turn has seen. */
  #begin(): void {
    if (!this.#open) throw new StoreUnavailableError(new Error('it is closed'))
    this.#entries.resetReadTxn()
  }

  /** The answer of a write, which {@link stop} waits for. */
  #finish<T>(write: Promise<T>): Promise<T> {
    const done: Promise<T> = this.#room
      .during(write)
      .catch((error: unknown) => {
        forgetCommitError(error)
        throw new StoreUnavailableError(error)
      })
      .finally(() => this.#writes.delete(done))
    this.#writes.add(done)
    return done
  }

  /** For writes whose failure another one reports, or that are tried again. */
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

  #tell(key: string): void {
    this.#quietly(this.#changes.put([microseconds(), newVersion()], key))
  }

  /** Reads the changes since the last look; a change may be committed a little after one with a later time. */
  #look(first = false): void {
    this.#begin()
    const now = performance.now()
    if (!first && now - this.#lookedAt > KEEP_CHANGES_US / 2_000) this.#listeners.tell('missed')
    const time = microseconds()
    for (const { key: change, value: key } of this.#changes.getRange({
      start: [this.#newestChange - LATE_COMMIT_US, 0],
    })) {
      // From before the machine started anew: its monotonic clock began again.
      if (change[0] > time) {
        this.#quietly(this.#finish(this.#changes.remove(change)))
        continue
      }
      const id = change.join(' ')
      this.#newestChange = Math.max(this.#newestChange, change[0])
      if (this.#seen.has(id)) continue
      this.#seen.add(id)
      if (!first) this.#listeners.tell(key === '' ? 'cleared' : { key })
    }
    for (const id of this.#seen) {
      if (Number.parseInt(id, 10) >= this.#newestChange - 2 * LATE_COMMIT_US) break
      this.#seen.delete(id)
    }
    this.#lookedAt = now
  }
}

/** A version that no earlier write of the key has had. */
const newVersion = (): number => randomInt(1, 2 ** 48 - 1)

/** The machine's monotonic clock: the same for all its processes, and nobody can set it back. */
const microseconds = (): number => Number(process.hrtime.bigint() / 1000n)

/** lmdb gives the reason of a failed commit as a promise of its own; unheard, its rejection would end the process. */
function forgetCommitError(error: unknown): void {
  const { commitError } = error as { commitError?: Promise<unknown> }
  commitError?.catch(() => {})
}
