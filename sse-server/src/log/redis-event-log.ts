import type { RingLimits } from '@hallpass/event-stream/fan-out'
import type { Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { Redis } from 'ioredis'
import { type Publication, toPublication } from '../publication/index.ts'
import { type EventLog, LogUnavailableError } from './event-log.ts'
import { type LoggedEvent, LogRing } from './log-ring.ts'

export interface RedisEventLogOptions {
  /** `redis://` or `rediss://`, with credentials if there are any. */
  readonly url: string
  /** The key of the stream; servers with the same key share one log. */
  readonly stream: string
  readonly log: Logger
  readonly limits: RingLimits
}

/** A publisher that has waited this long gets a 503 and may try again. */
const COMMAND_TIMEOUT_MS = 2_000
/** How soon a Redis that is connected and does not answer is noticed, beside the timeout. */
const PING_MS = 1_000
/** The reader asks again after this time, so a connection that died silently is noticed. */
const BLOCK_MS = 5_000
/** From one attempt to connect to the next: at once after a restart, at most two seconds later. */
const backOff = (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 7), 2_000)
const BATCH = 500
/** Where a stream is read from its first entry. */
const BEGINNING = '0-0'

type Entry = [position: string, fields: string[]]

/**
 * The log in a Redis or Valkey stream. Each server follows it and holds its latest part in its own ring, so a client may
 * come back to any server, and replay never asks Redis.
 */
export class RedisEventLog implements EventLog {
  readonly ring: LogRing
  loaded = false
  readonly #stream: string
  readonly #limits: RingLimits
  readonly #log: Logger
  readonly #listeners: ((event: LoggedEvent) => void)[] = []
  readonly #gapListeners: (() => void)[] = []
  readonly #url: string
  #writer!: Redis
  /** Another connection, because a read waits on it for what comes. */
  #reader!: Redis
  #last = BEGINNING
  /** The reader is connected anew, and what it missed meanwhile may be gone. */
  #reconnected = false
  #stopped = false
  #pings: NodeJS.Timeout | undefined
  #following: Promise<void> | undefined

  constructor({ url, stream, log, limits }: RedisEventLogOptions) {
    this.#url = url
    this.#stream = stream
    this.#limits = limits
    this.#log = log
    this.ring = new LogRing(limits)
  }

  /** Loads what is there; when Redis is away, the service starts all the same, is not ready, and loads later. */
  async start(): Promise<void> {
    await this.#open()
    await Promise.allSettled([this.#writer.connect(), this.#reader.connect()])
    if (this.#reader.status === 'ready') await this.#load().catch((error: unknown) => this.#complain(error))
    this.#following = this.#follow()
    // One that is not answered ends its connection, so the log is not ready until Redis answers again.
    this.#pings = setInterval(() => {
      if (this.#writer.status === 'ready')
        this.#writer.ping().catch((error: unknown) => this.#complain(error))
    }, PING_MS).unref()
  }

  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true
      clearInterval(this.#pings)
      this.#reader?.disconnect()
      this.#writer?.disconnect()
    }
    await this.#following
  }

  async append(publication: Publication): Promise<string> {
    const fields = Object.entries(publication).flatMap(([name, value]) => [name, String(value)])
    const position = await this.#command(() =>
      this.#writer.xadd(this.#stream, 'MAXLEN', '~', this.#limits.maxEvents, '*', ...fields),
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

  onGap(listener: () => void): void {
    this.#gapListeners.push(listener)
  }

  check(): void {
    if (this.#writer.status !== 'ready') throw new LogUnavailableError(`redis is ${this.#writer.status}`)
    if (!this.loaded) throw new LogUnavailableError('the log is not loaded')
  }

  async #open() {
    // It takes 5 MB and 20 ms, which a server with a log of its own should not pay.
    const { Redis } = await import('ioredis')
    const shared = {
      lazyConnect: true,
      connectTimeout: COMMAND_TIMEOUT_MS,
      retryStrategy: backOff,
      // What is under way when a connection ends fails then: a publisher must know, and the reader has something to ask
      // before it reads on.
      maxRetriesPerRequest: 0,
    }
    this.#writer = new Redis(this.#url, {
      ...shared,
      commandTimeout: COMMAND_TIMEOUT_MS,
      // Ends a connection on which nothing is answered; what is published then is refused unsent.
      socketTimeout: COMMAND_TIMEOUT_MS,
      enableOfflineQueue: false,
    })
    this.#reader = new Redis(this.#url, {
      ...shared,
      commandTimeout: BLOCK_MS * 2,
      socketTimeout: BLOCK_MS * 2,
    })
    for (const connection of [this.#writer, this.#reader])
      connection.on('error', (error: Error) => this.#log.debug({ err: error }, 'redis connection failed'))
    this.#reader.on('close', () => {
      this.#reconnected = true
    })
    this.#writer.on('ready', () => this.#log.info('redis is connected'))
    this.#writer.on('close', () => this.#log.warn('redis is not connected'))
  }

  async #command<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send()
    } catch (error) {
      throw new LogUnavailableError(error)
    }
  }

  /** The latest events, oldest first, as many as the ring takes. */
  async #load() {
    const newestFirst: Entry[] = []
    let end = '+'
    let bytes = 0
    while (newestFirst.length < this.#limits.maxEvents && bytes < this.#limits.maxBytes) {
      const batch = await this.#reader.xrevrange(this.#stream, end, '-', 'COUNT', BATCH)
      newestFirst.push(...batch)
      bytes += batch.reduce((sum, [, fields]) => sum + fields.join('').length, 0)
      if (batch.length < BATCH) break
      end = `(${batch.at(-1)?.[0]}`
    }
    for (const entry of newestFirst.reverse()) this.#take(entry)
    this.#reconnected = false
    this.loaded = true
  }

  async #follow() {
    while (!this.#stopped) {
      try {
        if (!this.loaded) await this.#load()
        if (this.#reconnected) await this.#findGap()
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
        await new Promise((resolve) => setTimeout(resolve, cappedMs(backOff(1))))
      }
    }
  }

  /** After a time without Redis: when the last entry that was read is gone, those behind it may be gone as well. */
  async #findGap() {
    const last = await this.#reader.xrange(this.#stream, this.#last, this.#last, 'COUNT', 1)
    this.#reconnected = false
    if (last.length > 0 || this.#last === BEGINNING) return
    this.ring.forget()
    for (const listener of this.#gapListeners) listener()
  }

  /** At most one event: an entry that says "cleared" is none. */
  #take([position, fields]: Entry): LoggedEvent[] {
    this.#last = position
    const entry: Record<string, string> = {}
    for (let index = 0; index < fields.length; index += 2)
      entry[fields[index] as string] = fields[index + 1] as string
    const { cleared, retry, ...strings } = entry
    if (cleared !== undefined) {
      this.ring.clear()
      return []
    }
    try {
      const object = retry === undefined ? strings : { ...strings, retry: Number(retry) }
      return [this.ring.add(position, toPublication(object))]
    } catch (error) {
      // Another program wrote it, under no rules of this server; the log goes on without it.
      this.#log.warn({ err: error, position }, 'an entry of the stream is not a publication')
      return []
    }
  }

  #complain(error: unknown) {
    if (!this.#stopped) this.#log.debug({ err: error }, 'the event log cannot be read')
  }
}
