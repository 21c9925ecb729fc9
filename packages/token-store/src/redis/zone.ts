import { randomUUID } from 'node:crypto'
import { Listeners } from '../listeners.ts'
import {
  type Change,
  checked,
  type Lease,
  type SeenEntry,
  type StoredEntry,
  type Zone,
} from '../shared-store.ts'
import { ExpiringKeys, PinnedHash, type RedisCells } from './cells.ts'
import type { RedisConnection } from './connection.ts'
import { RedisFeed } from './feed.ts'

/** Deletes the lease only if this holder still has it: after it expired, another process may hold it. */
const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`

/** Extends the lease only if this holder still has it. */
const EXTEND = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0`

/** The length of the stream. Processes that missed more changes read all entries again; see RedisFeed. */
const KEEP_CHANGES = 10_000

/** Expired pinned entries only use memory, so they are not urgent; a sweep is one small command. */
const SWEEP_MS = 10_000
/** Removed only then, because the clocks of the processes differ. */
const SWEEP_DELAY_MS = 60_000

export interface RedisZoneOptions {
  readonly connection: () => RedisConnection
  readonly openFeed: (blockingMs: number) => RedisConnection
  readonly prefix: string
  readonly pinned: boolean
  readonly clock: () => number
  /** Runs a read or write command. @throws {StoreUnavailableError} if it fails */
  readonly write: <T>(command: () => Promise<T>) => Promise<T>
  readonly read: <T>(command: () => Promise<T>) => Promise<T>
}

/** One zone of a Redis store: its entries, a key per lease, and a stream of changes. */
export class RedisZone implements Zone {
  readonly #options: RedisZoneOptions
  readonly #cells: RedisCells
  readonly #clock: () => number
  readonly #listeners = new Listeners()
  readonly #feed: RedisFeed
  #timer: NodeJS.Timeout | undefined

  constructor(options: RedisZoneOptions) {
    this.#options = options
    const { connection, openFeed, prefix, clock, pinned } = options
    this.#cells = new (pinned ? PinnedHash : ExpiringKeys)(connection, prefix)
    this.#clock = clock
    this.#feed = new RedisFeed(openFeed, prefix, (change) => this.#listeners.tell(change), { settle: pinned })
  }

  start(): void {
    this.#feed.start()
    if (!this.#options.pinned) return
    // If it fails, the next one is tried.
    this.#timer = setInterval(() => void this.sweep().catch(() => {}), SWEEP_MS)
    this.#timer.unref()
  }

  stop(): Promise<void> {
    clearInterval(this.#timer)
    return this.#feed.stop()
  }

  async get(key: string): Promise<SeenEntry | undefined> {
    const raw = await this.#options.read(() => this.#cells.get(key))
    const entry = raw === null ? undefined : parse(raw)
    return raw === null || !entry || entry.endsAt <= this.#clock() ? undefined : { ...entry, version: raw }
  }

  async replace(key: string, seen: SeenEntry | undefined, entry: StoredEntry): Promise<boolean> {
    const next = checked(key, entry)
    const now = this.#clock()
    if (next.endsAt <= now) return false
    const before = String(seen?.version ?? '')
    return this.#options.write(() => this.#cells.replace(key, before, print(next), next.endsAt, now))
  }

  async overrule(key: string, entry: StoredEntry | undefined): Promise<void> {
    const next = checked(key, entry)
    const now = this.#clock()
    await this.#options.write<unknown>(() =>
      next && next.endsAt > now
        ? this.#cells.set(key, print(next), next.endsAt, now)
        : this.#cells.delete(key),
    )
    await this.announce(key)
  }

  async announce(key: string): Promise<void> {
    const { connection, prefix, write } = this.#options
    await write(() => connection().xadd(`{${prefix}}:changes`, 'MAXLEN', '~', KEEP_CHANGES, '*', 'key', key))
  }

  async clear(): Promise<void> {
    await this.#options.read(() => this.#cells.clear())
    await this.announce('')
  }

  async lease(key: string, milliseconds: number): Promise<Lease | undefined> {
    const { connection, prefix, write } = this.#options
    const name = `${prefix}:lease:${key}`
    const holder = randomUUID()
    if ((await write(() => connection().set(name, holder, 'PX', milliseconds, 'NX'))) === null)
      return undefined
    const extend = async (more: number) =>
      (await write(() => connection().eval(EXTEND, 1, name, holder, more))) === 1
    // If the release fails, the lease expires on its own.
    const release = async () => {
      try {
        await connection().eval(RELEASE, 1, name, holder)
      } catch {}
    }
    return { extend, release }
  }

  async *entries(): AsyncIterable<readonly [string, StoredEntry]> {
    const { read } = this.#options
    const pages = this.#cells.scan()[Symbol.asyncIterator]()
    // Redis returns an entry twice if its table was resized during the scan.
    const listed = new Set<string>()
    for (;;) {
      const { done, value: page } = await read(() => pages.next())
      if (done) return
      const now = this.#clock()
      for (const [key, raw] of page) {
        if (listed.has(key)) continue
        listed.add(key)
        const entry = parse(raw)
        if (entry && entry.endsAt > now) yield [key, entry]
        else await read(async () => this.#cells.drop(key, raw))
      }
    }
  }

  /** Removes the entries that expired a minute ago. */
  async sweep(): Promise<void> {
    const { read } = this.#options
    while (await read(() => this.#cells.sweep(this.#clock() - SWEEP_DELAY_MS)));
  }

  async count(): Promise<number> {
    return this.#options.read(() => this.#cells.count())
  }

  watch(listener: (change: Change) => void): void {
    this.#listeners.add(listener)
  }

  isWatching(): boolean {
    return this.#feed.isCurrent()
  }
}

const print = ({ value, endsAt }: StoredEntry) => `${endsAt} ${value}`

function parse(raw: string): StoredEntry | undefined {
  const space = raw.indexOf(' ')
  const endsAt = Number(raw.slice(0, space))
  return space > 0 && Number.isSafeInteger(endsAt) ? { value: raw.slice(space + 1), endsAt } : undefined
}
