import type { ServerResponse } from 'node:http'
import { encodeEvent, gapEvent } from '@hallpass/event-stream'
import { type DropReason, EventBlock, FanOut, Http1Writer, type Reader } from '@hallpass/event-stream/fan-out'
import { Counter, type Logger, type Metrics } from '@hallpass/service-kit'
import type { EventLog, LoggedEvent } from '../log/index.ts'
import { isAmong, type Topics } from '../publication/index.ts'

export interface StreamHubOptions {
  readonly heartbeatMs: number
  /** What clients are told to wait before they connect again. */
  readonly retryMs: number
  /** A client for which more bytes than this wait, when the next event comes, is dropped. */
  readonly maxUnsentBytes: number
  /** The original's `view` events: the latest one is sent first to every client that connects. */
  readonly keepView: boolean
}

export interface StreamRequest {
  readonly lastEventId: string | undefined
  /** The events of these topics, `*` for every one; absent means those that were published without a topic. */
  readonly topics: readonly string[] | undefined
}

/** A client that takes nothing for this many heartbeats is gone or will not come to its senses. */
const MAX_STALLED_BEATS = 4

/** Streams the events of the log to every client that wants them. */
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

  /** Ends every stream cleanly, with what was published until now. */
  stop(): void {
    this.#fanOut.stop()
    this.#fanOut.flush()
    for (const [reader, writer] of this.#clients) {
      reader.takeRest()
      writer.end()
    }
  }

  /** Makes a response whose head is written a stream: what its client missed first, then what comes. */
  open(response: ServerResponse, { lastEventId, topics: wanted }: StreamRequest): void {
    const topics: Topics = wanted && new Set(wanted)
    const writer = new Http1Writer(response)
    const reader: Reader<LoggedEvent> = this.#fanOut.add(writer, {
      filter: {
        key: JSON.stringify(wanted === undefined ? null : [...new Set(wanted)].sort()),
        wants: ({ topic }) => isAmong(topic, topics),
      },
      onDropped: (reason) => this.#drop(reader, writer, reason),
    })
    this.#clients.set(reader, writer)
    response.once('close', () => this.#forget(reader))
    // Reset by the client, most likely; `close` follows.
    response.on('error', () => {})
    reader.send(this.#greeting)
    if (this.#view) reader.send(new EventBlock(this.#view.bytes))
    const { ring } = this.#log
    const { position, gap } =
      lastEventId === undefined ? { position: ring.head } : ring.after(lastEventId, topics)
    if (gap) reader.send(this.#gap(lastEventId as string))
    reader.readFrom(position)
  }

  /** Forgets the `view` event, as the original's `clear` does. */
  clearView(): void {
    this.#view = undefined
  }

  #gap(lastEventId: string | null): EventBlock {
    const { ring } = this.#log
    return new EventBlock(encodeEvent(gapEvent(lastEventId, ring.at(ring.tail)?.id ?? null)))
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

  /** What the fan-out counts is read when somebody asks. */
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
    total('sse_events_total', 'Events that the log has brought.', () => figures.events)
    total('sse_sent_bytes_total', 'Bytes given to the connections of clients.', () => figures.bytes)
    metrics.reading('sse_clients', 'Open streams.', () => this.#fanOut.size)
    metrics.reading('sse_ring_events', 'Events held for replay.', () => ring.size)
    metrics.reading('sse_ring_bytes', 'Bytes held for replay.', () => ring.bytes)
  }
}
