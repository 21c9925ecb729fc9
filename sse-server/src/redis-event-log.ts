import type { Logger } from '@hallpass/service-kit'
import { Redis } from 'ioredis'
import { type EventLog, LogUnavailableError } from './event-log.ts'
import { EventRing, type EventRingLimits, type LoggedEvent } from './event-ring.ts'
import type { Publication } from './publication.ts'

export interface RedisEventLogOptions {
  /** `redis://` or `rediss://`, with credentials if there are any. */
  readonly url: string
  /** The key of the stream; servers with the same key share one log. */
  readonly stream: string
  readonly log: Logger
  readonly limits: EventRingLimits
}

/** A publisher that has waited this long gets a 503 and may try again. */
const COMMAND_TIMEOUT_MS = 2_000
/** The reader asks again after this time, so a connection that died silently is noticed. */
const BLOCK_MS = 5_000
/** From one attempt to connect to the next: at once after a restart, at most two seconds later. */
const backOff = (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 7), 2_000)
const BATCH = 500
/** Everything is up to date: no position lies before this one. */
const BEGINNING = '0-0'

type Entry = [position: string, fields: string[]]

/**
 * The log in a Redis or Valkey stream. Each server follows it and holds its latest part in its own ring, so a client may
 * come back to any server, and replay never asks Redis.
 */
export class RedisEventLog implements EventLog {
  readonly ring: EventRing
  loaded = false
  readonly #stream: string
  readonly #limits: EventRingLimits
  readonly #log: Logger
  readonly #listeners: ((event: LoggedEvent) => void)[] = []
  /** Fails at once while Redis is away: publishers must know. */
  readonly #writer: Redis
  /** Waits for Redis as long as it takes: readers lose nothing by waiting. */
  readonly #reader: Redis
  #last = BEGINNING
  #stopped = false
  #following: Promise<void> | undefined

  constructor({ url, stream, log, limits }: RedisEventLogOptions) {
    this.#stream = stream
    this.#limits = limits
    this.#log = log
    this.ring = new EventRing(limits, BEGINNING)
    const shared = { lazyConnect: true, connectTimeout: COMMAND_TIMEOUT_MS, retryStrategy: backOff }
    this.#writer = new Redis(url, {
      ...shared,
      commandTimeout: COMMAND_TIMEOUT_MS,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
    })
    this.#reader = new Redis(url, { ...shared, commandTimeout: BLOCK_MS * 2, maxRetriesPerRequest: null })
    for (const connection of [this.#writer, this.#reader])
      connection.on('error', (error: Error) => this.#log.debug({ err: error }, 'redis connection failed'))
    this.#writer.on('ready', () => this.#log.info('redis is connected'))
    this.#writer.on('close', () => this.#log.warn('redis is not connected'))
  }

  /** Loads what is there; when Redis is away, the service starts all the same, is not ready, and loads later. */
  async start(): Promise<void> {
    await Promise.allSettled([this.#writer.connect(), this.#reader.connect()])
    if (this.#reader.status === 'ready') await this.#load().catch((error: unknown) => this.#complain(error))
    this.#following = this.#follow()
  }

  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true
      this.#reader.disconnect()
      this.#writer.disconnect()
    }
    await this.#following
  }

  async append(publication: Publication): Promise<string> {
    const fields = Object.entries(publication).flatMap(([name, value]) => [name, String(value)])
    const position = await this.#command(() =>
      this.#writer.xadd(this.#stream, 'MAXLEN', '~', this.#limits.events, '*', ...fields),
    )
    return publication.id ?? (position as string)
  }

  /** A last entry says so to every server, because one that is away now must learn of it later. */
  async clear(): Promise<void> {
    await this.#command(() => this.#writer.xadd(this.#stream, 'MAXLEN', 1, '*', 'cleared', '1'))
  }

  onEvent(listener: (event: LoggedEvent) => void): void {
    this.#listeners.push(listener)
  }

  check(): void {
    if (this.#writer.status !== 'ready') throw new LogUnavailableError(`redis is ${this.#writer.status}`)
    if (!this.loaded) throw new LogUnavailableError('the log is not loaded')
  }

  async #command<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send()
    } catch (error) {
      throw new LogUnavailableError(error)
    }
  }

  /** The latest events, oldest first, from the newest to as many as the ring takes. */
  async #load() {
    const batches: Entry[][] = []
    let end = '+'
    let count = 0
    while (count < this.#limits.events) {
      const batch = await this.#reader.xrevrange(this.#stream, end, '-', 'COUNT', BATCH)
      batches.push(batch)
      count += batch.length
      if (batch.length < BATCH) break
      end = `(${batch.at(-1)?.[0]}`
    }
    const entries = batches.flat().reverse()
    const oldest = entries[0]?.[0]
    if (oldest !== undefined && !(await this.#isComplete(entries.length))) this.ring.forgetBefore(oldest)
    for (const entry of entries) this.#take(entry)
    this.loaded = true
  }

  /** Whether nothing was ever trimmed from the stream; a server that cannot tell (Redis before 7) says no. */
  async #isComplete(held: number): Promise<boolean> {
    const info = (await this.#reader.xinfo('STREAM', this.#stream)) as unknown[]
    return info[info.indexOf('entries-added') + 1] === held
  }

  async #follow() {
    while (!this.#stopped) {
      try {
        if (!this.loaded) await this.#load()
        const reply = (await this.#reader.xread(
          'COUNT',
          BATCH,
          'BLOCK',
          BLOCK_MS,
          'STREAMS',
          this.#stream,
          this.#last,
        )) as [string, Entry[]][] | null
        for (const entry of reply?.[0]?.[1] ?? [])
          for (const event of this.#take(entry)) for (const listener of this.#listeners) listener(event)
      } catch (error) {
        this.#complain(error)
        await new Promise((resolve) => setTimeout(resolve, backOff(1)))
      }
    }
  }

  /** At most one event: an entry that says "cleared" is none. */
  #take([position, fields]: Entry): LoggedEvent[] {
    this.#last = position
    const entry: Record<string, string> = {}
    for (let index = 0; index < fields.length; index += 2)
      entry[fields[index] as string] = fields[index + 1] as string
    const { cleared, retry, ...texts } = entry
    if (cleared === undefined)
      return [this.ring.add(position, { ...texts, ...(retry === undefined ? {} : { retry: Number(retry) }) })]
    this.ring.clear()
    this.ring.forgetBefore(position)
    return []
  }

  #complain(error: unknown) {
    if (!this.#stopped) this.#log.debug({ err: error }, 'the event log cannot be read')
  }
}
