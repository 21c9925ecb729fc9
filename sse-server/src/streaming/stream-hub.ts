import type { ServerResponse } from 'node:http'
import { CONTROL_EVENTS, encodeEvent, gapEvent } from '@hallpass/event-stream'
import {
  type DropReason,
  EventBlock,
  type EventSelection,
  FanOut,
  Http1Writer,
  type Reader,
} from '@hallpass/event-stream/fan-out'
import { type Clock, Counter, type Logger, type Metrics } from '@hallpass/service-kit'
import { callAfter } from '@hallpass/untrusted/timers'
import type { EventLog, LoggedEvent } from '../log/index.ts'
import { EVERY_TOPIC, type Topics } from '../publication/index.ts'

export interface StreamHubOptions {
  readonly heartbeatMs: number
  /** How long clients must wait before they reconnect. */
  readonly retryMs: number
  /** A client for which more bytes than this wait when the next event arrives is dropped. */
  readonly maxUnsentBytes: number
  /** Whether the latest `view` event is sent first to every client that connects, as Zilla's example server does. */
  readonly keepView: boolean
  readonly clock: Clock
}

export interface StreamRequest {
  readonly lastEventId: string | undefined
  /** The topics to stream, `*` for all; absent selects the events without a topic. */
  readonly topics: readonly string[] | undefined
  /** Whether the events contain their topic. */
  readonly withTopic: boolean
  /** When the stream ends, because its token expires then, in milliseconds since the epoch; undefined: not by itself. */
  readonly expiresAt: number | undefined
}

/** A client that reads nothing for this many heartbeats is dead or hangs. */
const MAX_STALLED_BEATS = 4

/** The value of `Last-Event-ID` in responses if the requested ID is unknown, as in the Mercure protocol. */
const EARLIEST = 'earliest'

/** The last event of a stream whose token has expired, as a gateway sends it. */
const TOKEN_EXPIRED = new EventBlock(
  encodeEvent({ event: CONTROL_EVENTS.end, data: JSON.stringify({ reason: 'token_expired' }) }),
)

/** Streams the events of the log to clients, by topic. */
export class StreamHub {
  readonly #log: EventLog
  readonly #logger: Logger
  readonly #options: StreamHubOptions
  readonly #greeting: EventBlock
  readonly #fanOut: FanOut<LoggedEvent>
  readonly #clients = new Map<Reader<LoggedEvent>, Http1Writer>()
  readonly #dropped
  #view: LoggedEvent | undefined

  constructor(log: EventLog, options: StreamHubOptions, logger: Logger, metrics: Metrics) {
    this.#log = log
    this.#logger = logger
    this.#options = options
    this.#greeting = new EventBlock(encodeEvent({ retry: options.retryMs }))
    this.#fanOut = new FanOut({
      ring: log.ring,
      heartbeatMs: options.heartbeatMs,
      limits: {
        maxWaitingBytes: options.maxUnsentBytes,
        maxStalledMs: MAX_STALLED_BEATS * options.heartbeatMs,
        gap: () => this.#gap(null),
      },
    })
    this.#dropped = metrics.counter('sse_dropped_clients_total', 'Clients dropped, by reason.', ['reason'])
    this.#measure(metrics)
    log.onEvent((event) => {
      if (options.keepView && event.event === 'view') this.#view = event
      this.#fanOut.take(event)
    })
    log.onGap(() => this.#fanOut.send(this.#gap(null)))
  }

  start(): void {
    const { ring } = this.#log
    if (this.#options.keepView)
      for (const event of ring.events()) if (event.event === 'view') this.#view = event
    this.#fanOut.start()
  }

  /** Ends every stream cleanly, after the events published so far. */
  stop(): void {
    this.#fanOut.stop()
    this.#fanOut.flush()
    for (const [reader, writer] of this.#clients) {
      reader.takeRest()
      writer.end()
    }
  }

  /**
   * Returns after which ID the events of a request follow: the requested one, or `earliest` if events may be missing between
   * it and the stored ones; undefined if none was requested.
   */
  follows({ lastEventId, topics }: Omit<StreamRequest, 'withTopic'>): string | undefined {
    if (lastEventId === undefined) return undefined
    return this.#log.ring.after(lastEventId, topics && new Set(topics)).gap ? EARLIEST : lastEventId
  }

  /** Streams to a response whose headers are written: first the events that its client missed, then new ones. */
  open(response: ServerResponse, { lastEventId, topics: wanted, withTopic, expiresAt }: StreamRequest): void {
    const topics: Topics = wanted && new Set(wanted)
    const writer = new Http1Writer(response)
    const reader: Reader<LoggedEvent> = this.#fanOut.add(writer, {
      selection: selectionOf(topics, withTopic),
      onDropped: (reason) => this.#drop(reader, writer, reason),
    })
    this.#clients.set(reader, writer)
    response.once('close', () => this.#forget(reader))
    // Usually a reset by the client; `close` follows.
    response.on('error', () => {})
    reader.send(this.#greeting)
    if (this.#view) reader.send(new EventBlock(withTopic ? this.#view.withTopic : this.#view.bytes))
    const { ring } = this.#log
    const { position, gap } =
      lastEventId === undefined ? { position: ring.head } : ring.after(lastEventId, topics)
    if (gap) reader.send(this.#gap(lastEventId as string))
    reader.readFrom(position)
    if (expiresAt !== undefined) {
      const remainingMs = expiresAt - this.#options.clock()
      response.once(
        'close',
        callAfter(remainingMs, () => this.#expire(reader, writer)),
      )
    }
  }

  /** Deletes the stored `view` event. */
  clearView(): void {
    this.#view = undefined
  }

  #gap(lastEventId: string | null): EventBlock {
    const { ring } = this.#log
    return new EventBlock(encodeEvent(gapEvent(lastEventId, ring.at(ring.tail)?.id ?? null)))
  }

  /** Ends a stream after what it was sent so far; its client can continue with a new token and its last ID. */
  #expire(reader: Reader<LoggedEvent>, writer: Http1Writer) {
    if (!this.#clients.has(reader)) return
    this.#fanOut.flush()
    reader.send(TOKEN_EXPIRED)
    this.#forget(reader)
    writer.end()
  }

  #drop(reader: Reader<LoggedEvent>, writer: Http1Writer, reason: DropReason) {
    this.#dropped.inc({ reason })
    this.#logger.warn({ reason, unsentBytes: writer.pending }, 'client dropped')
    this.#forget(reader)
    writer.abort()
  }

  #forget(reader: Reader<LoggedEvent>) {
    this.#clients.delete(reader)
    this.#fanOut.remove(reader)
  }

  /** Registers metrics that read the fan-out's figures when they are scraped. */
  #measure(metrics: Metrics) {
    const { figures } = this.#fanOut
    const { ring } = this.#log
    const total = (name: string, help: string, read: () => number) =>
      new Counter({
        name,
        help,
        registers: [metrics.registry],
        collect() {
          this.reset()
          this.inc(read())
        },
      })
    total('sse_events_total', 'Events received from the log.', () => figures.events)
    total('sse_sent_bytes_total', 'Bytes written to client connections.', () => figures.bytes)
    metrics.reading('sse_clients', 'Open streams.', () => this.#fanOut.size)
    metrics.reading('sse_ring_events', 'Events stored for replay.', () => ring.size)
    metrics.reading('sse_ring_bytes', 'Bytes stored for replay.', () => ring.bytes)
  }
}

function selectionOf(topics: Topics, withTopic: boolean): EventSelection<LoggedEvent> {
  const form = withTopic ? { bytesOf: (event: LoggedEvent) => event.withTopic } : {}
  if (topics?.has(EVERY_TOPIC))
    return { key: JSON.stringify([EVERY_TOPIC, withTopic]), wants: () => true, ...form }
  const key = JSON.stringify([topics === undefined ? null : [...topics].sort(), withTopic])
  return { key, topics: topics ?? new Set([undefined]), ...form }
}
