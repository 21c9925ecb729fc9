import type { RingLimits } from '@hallpass/event-stream/fan-out'
import type { Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { Redis } from 'ioredis'
import { type Publication, PublicationError, toPublication } from '../publication/index.ts'
import { APPEND } from './append-script.ts'
import { type EventLog, IdConflictError, LogUnavailableError } from './event-log.ts'
import { keyOf, type LoggedEvent, LogRing } from './log-ring.ts'

export interface RedisEventLogOptions {
  /** `redis://` or `rediss://`, with credentials if needed. */
  readonly url: string
  /** PEM of the only CA that is trusted for TLS. Default: the system's CAs. */
  readonly ca?: string
  /** The key of the Redis stream; servers with the same key share one log. */
  readonly stream: string
  readonly log: Logger
  readonly limits: RingLimits
}

/** A publisher that has waited this long gets a 503 and can retry. */
const COMMAND_TIMEOUT_MS = 2_000
/** How often Redis is pinged. An unresponsive connection is detected within this time plus the timeout. */
const PING_MS = 1_000
/** The reader repeats its blocking read after this time, so that a silently dead connection is detected. */
const BLOCK_MS = 5_000
/** The delay before the next connection attempt: 25 ms at first, doubling up to two seconds. */
const backOff = (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 7), 2_000)
const BATCH = 500
/** The position before the first entry of a stream. */
const BEGINNING = '0-0'

type Entry = [position: string, fields: string[]]

/**
 * An event log in a Redis or Valkey stream. Each server follows the stream and keeps the latest events in its own ring, so
 * clients can reconnect to any server, and replay never calls Redis.
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
  readonly #ca: string | undefined
  #writer!: Redis
  /** A separate connection, because blocking reads occupy it. */
  #reader!: Redis
  #last = BEGINNING
  /** Whether the reader has reconnected; the events it missed may have been trimmed meanwhile. */
  #reconnected = false
  #stopped = false
  #pings: NodeJS.Timeout | undefined
  #following: Promise<void> | undefined

  constructor({ url, ca, stream, log, limits }: RedisEventLogOptions) {
    this.#url = url
    this.#ca = ca
    this.#stream = stream
    this.#limits = limits
    this.#log = log
    this.ring = new LogRing(limits)
  }

  /** Loads the stored events. If Redis is unavailable, the service still starts, is not ready, and loads them later. */
  async start(): Promise<void> {
    await this.#open()
    await Promise.allSettled([this.#writer.connect(), this.#reader.connect()])
    if (this.#reader.status === 'ready') await this.#load().catch((error: unknown) => this.#complain(error))
    this.#following = this.#follow()
    // An unanswered ping closes the connection, so the log is not ready until Redis responds again.
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

  async append(publications: readonly Publication[]): Promise<string[]> {
    const args = publications.flatMap((publication) => {
      const fields = Object.entries(publication).flatMap(([name, value]) => [name, String(value)])
      const { id, topic } = publication
      return [id === undefined ? '' : keyOf(id, topic), fields.length, ...fields]
    })
    const reply = (await this.#command(() =>
      this.#writer.eval(APPEND, 2, this.#stream, `${this.#stream}:ids`, this.#limits.maxEvents, ...args),
    )) as string[] | number
    if (typeof reply === 'number') throw new IdConflictError(publications, reply - 1)
    return publications.map(({ id }, index) => id ?? (reply[index] as string))
  }

  /** Clears with an entry of the stream, so that servers that are disconnected now clear their ring later. */
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
    // Imported on demand: it costs 5 MB and 20 ms, which a server with an in-memory log should not pay.
    const { Redis } = await import('ioredis')
    const shared = {
      ...(this.#ca === undefined ? {} : { tls: { ca: this.#ca } }),
      lazyConnect: true,
      connectTimeout: COMMAND_TIMEOUT_MS,
      retryStrategy: backOff,
      // Pending commands fail when the connection closes: the publisher must know, and the reader must check for a gap
      // before it continues.
      maxRetriesPerRequest: 0,
      // A queued command would not end when the server stops while Redis cannot be reached.
      enableOfflineQueue: false,
    }
    this.#writer = new Redis(this.#url, {
      ...shared,
      commandTimeout: COMMAND_TIMEOUT_MS,
      // Closes an unresponsive connection; later publications are then rejected without being sent.
      socketTimeout: COMMAND_TIMEOUT_MS,
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
    this.#writer.on('ready', () => this.#log.info('redis connected'))
    this.#writer.on('close', () => this.#log.warn('redis disconnected'))
  }

  async #command<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send()
    } catch (error) {
      throw new LogUnavailableError(error)
    }
  }

  /** Loads the latest events into the ring, as many as fit. */
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

  /** Detects a gap after a reconnect: if the last entry that was read has been trimmed, later ones may be missing as well. */
  async #findGap() {
    const last = await this.#reader.xrange(this.#stream, this.#last, this.#last, 'COUNT', 1)
    this.#reconnected = false
    if (last.length > 0 || this.#last === BEGINNING) return
    this.ring.forget()
    for (const listener of this.#gapListeners) listener()
  }

  /** Adds an entry to the ring. Returns its event, or none if the entry clears the log or is invalid. */
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
      // Written by another program that does not follow this server's rules, so it is skipped.
      this.#log.warn({ err: error, position }, 'a stream entry is not a valid publication')
      const isTooLarge = error instanceof PublicationError && error.code === 'event_too_large'
      return isTooLarge ? [this.ring.addGap(position, strings)] : []
    }
  }

  #complain(error: unknown) {
    if (!this.#stopped) this.#log.debug({ err: error }, 'cannot read the event log')
  }
}
