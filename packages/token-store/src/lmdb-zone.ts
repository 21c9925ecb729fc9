import { randomInt } from 'node:crypto'
import type { Database, Key } from 'lmdb'
import {
  type Lease,
  Listeners,
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

/**
 * One zone of an lmdb store, in four databases: the entries, their keys by end (so that the sweep finds what has
 * ended), the leases, and the changes of the last minute (which every process looks at ten times a second: lmdb has
 * no messages).
 */
export class LmdbZone implements Zone {
  readonly #openDatabase: OpenDatabase
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

  constructor(openDatabase: OpenDatabase, clock: () => number = Date.now) {
    this.#openDatabase = openDatabase
    this.#clock = clock
  }

  start(): void {
    this.#entries = this.#openDatabase('entries', true)
    this.#ends = this.#openDatabase('ends', false)
    this.#leases = this.#openDatabase('leases', true)
    this.#changes = this.#openDatabase('changes', false)
    this.#open = true
    this.#look(true)
    this.#timers = [setInterval(() => this.#look(), LOOK_MS), setInterval(() => this.sweep(), SWEEP_MS)]
    for (const timer of this.#timers) timer.unref()
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
    await this.#finish(
      this.#entries.batch(() => {
        if (next) this.#write(key, next)
        else void this.#entries.remove(key)
        this.#tell(key)
      }),
    )
    this.#look()
  }

  async clear(): Promise<void> {
    this.#begin()
    const keys = Array.from(this.#entries.getKeys())
    await this.#finish(
      this.#entries.batch(() => {
        for (const key of keys) void this.#entries.remove(key)
        this.#tell('')
      }),
    )
    this.#look()
  }

  async lease(key: string, milliseconds: number): Promise<Lease | undefined> {
    this.#begin()
    const held = this.#leases.getEntry(key)
    const now = this.#clock()
    if (held && held.value > now) return undefined
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
    // A lease that cannot be given back, because the store is closing, lapses.
    return {
      release: async () => void (this.#open && (await this.#finish(this.#leases.remove(key, version)))),
    }
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

  watch(listener: (key: string | undefined) => void): void {
    this.#listeners.add(listener)
  }

  isWatching(): boolean {
    return performance.now() - this.#lookedAt < WATCH_WINDOW_MS
  }

  /** Removes what has ended; every process does it now and then, and together they do no harm. */
  sweep(): void {
    const now = this.#clock()
    const ended = Array.from(this.#ends.getKeys({ start: [0, ''], end: [now, '\uffff'], limit: SWEEP_BATCH }))
    for (const [endsAt, key] of ended) {
      void this.#finish(this.#ends.remove([endsAt, key]))
      const entry = this.#entries.getEntry(key)
      if (entry && entry.value[1] <= now)
        void this.#finish(this.#entries.remove(key, entry.version as number))
    }
    for (const { key, value } of this.#leases.getRange({ limit: SWEEP_BATCH }))
      if (value <= now)
        void this.#finish(this.#leases.remove(key, this.#leases.getEntry(key)?.version as number))
    const oldest = microseconds() - KEEP_CHANGES_US
    for (const change of this.#changes.getKeys({ end: [oldest, 0], limit: SWEEP_BATCH }))
      void this.#finish(this.#changes.remove(change))
  }

  /** Begins a call: what it reads is what is there now, not what an earlier read of this turn has seen. */
  #begin(): void {
    if (!this.#open) throw new StoreUnavailableError(new Error('it is closed'))
    this.#entries.resetReadTxn()
  }

  /** The answer of a write, which {@link stop} waits for. */
  #finish<T>(write: Promise<T>): Promise<T> {
    const done: Promise<T> = write.finally(() => this.#writes.delete(done))
    this.#writes.add(done)
    return done
  }

  #read(key: string): SeenEntry | undefined {
    const entry = this.#entries.getEntry(key)
    if (!entry || entry.value[1] <= this.#clock()) return undefined
    return { value: entry.value[0], endsAt: entry.value[1], version: entry.version as number }
  }

  #write(key: string, { value, endsAt }: StoredEntry): void {
    void this.#entries.put(key, [value, endsAt], newVersion())
    void this.#ends.put([endsAt, key], true)
  }

  #tell(key: string): void {
    void this.#changes.put([microseconds(), newVersion()], key)
  }

  /** Reads the changes since the last look; a change may be committed a little after one with a later time. */
  #look(first = false): void {
    this.#begin()
    const now = performance.now()
    if (!first && now - this.#lookedAt > KEEP_CHANGES_US / 2_000) this.#listeners.tell(undefined)
    const time = microseconds()
    for (const { key: change, value: key } of this.#changes.getRange({
      start: [this.#newestChange - LATE_COMMIT_US, 0],
    })) {
      // From before the machine started anew: its monotonic clock began again.
      if (change[0] > time) {
        void this.#finish(this.#changes.remove(change))
        continue
      }
      const id = change.join(' ')
      this.#newestChange = Math.max(this.#newestChange, change[0])
      if (this.#seen.has(id)) continue
      this.#seen.add(id)
      if (!first) this.#listeners.tell(key === '' ? undefined : key)
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
