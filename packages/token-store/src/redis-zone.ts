import { randomUUID } from 'node:crypto'
import type { RedisConnection } from './redis-connection.ts'
import { RedisFeed } from './redis-feed.ts'
import {
  type Lease,
  Listeners,
  type SeenEntry,
  type StoredEntry,
  StoreUnavailableError,
  type Zone,
} from './shared-store.ts'

/** Writes when the value is still the one that was seen; an absent one was seen as ''. */
const REPLACE = `
if (redis.call('get', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'px', ARGV[3])
return 1`

/** Deletes only what this holder has set: a lease that has lapsed may be another's by now. */
const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0`

/** Processes that were away for longer than this many changes ask for each entry again; see RedisFeed. */
const KEEP_CHANGES = 10_000
const SCAN_COUNT = 500

export interface RedisZoneOptions {
  readonly connection: () => RedisConnection
  readonly openFeed: (blockingMs: number) => RedisConnection
  readonly prefix: string
  readonly clock: () => number
}

/** One zone of a Redis store: a key per entry with Redis's own expiry, a key per lease, and a stream of changes. */
export class RedisZone implements Zone {
  readonly #connectionOf: () => RedisConnection
  readonly #prefix: string
  readonly #clock: () => number
  readonly #listeners = new Listeners()
  readonly #feed: RedisFeed

  constructor({ connection, openFeed, prefix, clock }: RedisZoneOptions) {
    this.#connectionOf = connection
    this.#prefix = prefix
    this.#clock = clock
    this.#feed = new RedisFeed(openFeed, `${prefix}:changes`, (key) => this.#listeners.tell(key))
  }

  get #connection(): RedisConnection {
    return this.#connectionOf()
  }

  start(): void {
    this.#feed.start()
  }

  stop(): Promise<void> {
    return this.#feed.stop()
  }

  async get(key: string): Promise<SeenEntry | undefined> {
    const raw = await available(this.#connection.get(this.#entry(key)))
    const entry = raw === null ? undefined : parse(raw)
    return raw === null || !entry || entry.endsAt <= this.#clock() ? undefined : { ...entry, version: raw }
  }

  async replace(key: string, seen: SeenEntry | undefined, next: StoredEntry): Promise<boolean> {
    const milliseconds = next.endsAt - this.#clock()
    if (milliseconds < 1) return false
    const done = await available(
      this.#connection.eval(REPLACE, 1, this.#entry(key), seen?.version ?? '', print(next), milliseconds),
    )
    return done === 1
  }

  async overrule(key: string, next: StoredEntry | undefined): Promise<void> {
    const milliseconds = next ? next.endsAt - this.#clock() : 0
    if (next && milliseconds > 0)
      await available(this.#connection.set(this.#entry(key), print(next), 'PX', milliseconds))
    else await available(this.#connection.del(this.#entry(key)))
    await this.#tell(key)
  }

  async clear(): Promise<void> {
    for await (const keys of this.#scan())
      await available(Promise.all(keys.map((key) => this.#connection.unlink(key))))
    await this.#tell('')
  }

  async lease(key: string, milliseconds: number): Promise<Lease | undefined> {
    const name = `${this.#prefix}:lease:${key}`
    const holder = randomUUID()
    const taken = await available(this.#connection.set(name, holder, 'PX', milliseconds, 'NX'))
    if (taken === null) return undefined
    // A lease that cannot be given back lapses.
    return {
      release: async () => void (await this.#connection.eval(RELEASE, 1, name, holder).catch(() => {})),
    }
  }

  async *entries(): AsyncIterable<readonly [string, StoredEntry]> {
    const from = this.#entry('').length
    for await (const keys of this.#scan()) {
      const values = await available(Promise.all(keys.map((key) => this.#connection.get(key))))
      const now = this.#clock()
      for (const [index, raw] of values.entries()) {
        const entry = raw === null ? undefined : parse(raw)
        if (entry && entry.endsAt > now) yield [(keys[index] as string).slice(from), entry]
      }
    }
  }

  async count(): Promise<number> {
    let count = 0
    for await (const keys of this.#scan()) count += keys.length
    return count
  }

  watch(listener: (key: string | undefined) => void): void {
    this.#listeners.add(listener)
  }

  isWatching(): boolean {
    return this.#feed.isCurrent()
  }

  #entry(key: string): string {
    return `${this.#prefix}:entry:${key}`
  }

  async #tell(key: string): Promise<void> {
    await available(
      this.#connection.xadd(`${this.#prefix}:changes`, 'MAXLEN', '~', KEEP_CHANGES, '*', 'key', key),
    )
  }

  /** The names of all entries, from every master of a cluster. */
  async *#scan(): AsyncIterable<string[]> {
    const connection = this.#connection
    const nodes = 'nodes' in connection ? connection.nodes('master') : [connection]
    for (const node of nodes) {
      let cursor = '0'
      do {
        const [next, keys] = await available(
          node.scan(cursor, 'MATCH', `${this.#entry('')}*`, 'COUNT', SCAN_COUNT),
        )
        cursor = next
        if (keys.length > 0) yield keys
      } while (cursor !== '0')
    }
  }
}

async function available<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw new StoreUnavailableError(error)
  }
}

const print = ({ value, endsAt }: StoredEntry) => `${endsAt} ${value}`

function parse(raw: string): StoredEntry | undefined {
  const space = raw.indexOf(' ')
  const endsAt = Number(raw.slice(0, space))
  return space > 0 && Number.isSafeInteger(endsAt) ? { value: raw.slice(space + 1), endsAt } : undefined
}
