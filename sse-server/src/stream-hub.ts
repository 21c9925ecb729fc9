import type { ServerResponse } from 'node:http'
import { encodeComment, encodeEvent, gapEvent } from '@hallpass/event-stream'
import type { Logger, Metrics } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { EventLog } from './event-log.ts'
import { EVERY_TOPIC, type Topics } from './event-places.ts'
import type { LoggedEvent } from './event-ring.ts'

export interface StreamHubOptions {
  readonly heartbeatMs: number
  /** What clients are told to wait before they connect again. */
  readonly retryMs: number
  /** A client with more unsent bytes than this, when the next event comes, is dropped. */
  readonly maxUnsentBytes: number
  /** The original's `view` events: the latest one is sent first to every client that connects. */
  readonly keepView: boolean
}

export interface StreamRequest {
  readonly lastEventId: string | undefined
  /** The events of these topics, `*` for every one; absent means those that were published without a topic. */
  readonly topics: readonly string[] | undefined
}

interface Client {
  readonly response: ServerResponse
  readonly topics: Topics
  /** Set when it has caught up. */
  group: Group | undefined
  /** Bytes that had left for the client at the last heartbeat. */
  sentBytes: number
  /** Heartbeats in a row at which it had taken nothing of what waits for it. */
  stalledBeats: number
}

/** Clients that get the same events, and what they get at the end of this turn of the event loop. */
interface Group {
  readonly key: string
  readonly topics: Topics
  readonly clients: Set<Client>
  pending: Buffer[]
}

/** A client that takes nothing for this many heartbeats is gone or will not come to its senses. */
const MAX_STALLED_BEATS = 4
const HEARTBEAT = Buffer.from(encodeComment())

/** Sends each event of the log to every client, in order, once; slow clients never hold up the others. */
export class StreamHub {
  readonly #log: EventLog
  readonly #options: StreamHubOptions
  readonly #logger: Logger
  readonly #greeting: Buffer
  readonly #all = new Set<Client>()
  readonly #groups = new Map<string, Group>()
  readonly #bytes
  readonly #dropped
  #flushing: NodeJS.Immediate | undefined
  #heart: NodeJS.Timeout | undefined
  #view: LoggedEvent | undefined

  constructor(log: EventLog, options: StreamHubOptions, logger: Logger, metrics: Metrics) {
    this.#log = log
    this.#options = options
    this.#logger = logger
    this.#greeting = Buffer.from(encodeEvent({ retry: options.retryMs }))
    const events = metrics.counter('sse_events_total', 'Events that the log has brought.')
    this.#bytes = metrics.counter('sse_sent_bytes_total', 'Bytes given to the connections of clients.')
    this.#dropped = metrics.counter('sse_dropped_clients_total', 'Clients dropped, by reason.', ['reason'])
    metrics.reading('sse_clients', 'Open streams.', () => this.#all.size)
    metrics.reading('sse_ring_events', 'Events held for replay.', () => log.ring.size)
    metrics.reading('sse_ring_bytes', 'Bytes held for replay.', () => log.ring.bytes)
    log.onEvent((event) => {
      events.inc()
      this.#receive(event)
    })
    log.onGap(() => {
      for (const group of this.#groups.values()) group.pending.push(this.#gap(null))
      this.#flushSoon()
    })
  }

  get clients(): number {
    return this.#all.size
  }

  start(): void {
    const { ring } = this.#log
    if (this.#options.keepView)
      for (let index = ring.first; index < ring.next; index += 1)
        if (ring.at(index)?.event === 'view') this.#view = ring.at(index)
    this.#heart = setInterval(() => this.#beat(), cappedMs(this.#options.heartbeatMs))
    this.#heart.unref()
  }

  /** Ends every stream cleanly. */
  stop(): void {
    clearInterval(this.#heart)
    clearImmediate(this.#flushing)
    for (const group of this.#groups.values()) this.#flush(group)
    for (const { response } of this.#all) response.end()
  }

  /** Makes a response whose head is sent a stream: what its client missed first, then what comes. */
  open(response: ServerResponse, request: StreamRequest): void {
    const topics = request.topics && new Set(request.topics)
    const client: Client = { response, topics, group: undefined, sentBytes: 0, stalledBeats: 0 }
    this.#all.add(client)
    response.once('close', () => this.#forget(client))
    // Reset by the client, most likely; `close` follows.
    response.on('error', () => {})
    this.#write(client, this.#greeting)
    if (this.#view) this.#write(client, this.#view.wire)
    if (request.lastEventId === undefined) this.#join(client)
    else {
      const { index, gap } = this.#log.ring.after(request.lastEventId, topics)
      if (gap) this.#signalGap(client, request.lastEventId)
      this.#replay(client, index)
    }
  }

  /** Forgets the `view` event, as the original's `clear` does. */
  clearView(): void {
    this.#view = undefined
  }

  #groupOf({ topics }: Client): Group {
    const key = topics === undefined ? '*' : JSON.stringify([...topics].sort())
    const group = this.#groups.get(key) ?? { key, topics, clients: new Set<Client>(), pending: [] }
    this.#groups.set(key, group)
    return group
  }

  #receive(event: LoggedEvent) {
    if (this.#options.keepView && event.event === 'view') this.#view = event
    for (const group of this.#groups.values()) if (belongs(event, group)) group.pending.push(event.wire)
    this.#flushSoon()
  }

  /** Everything that arrives in one turn of the event loop goes to each client in one write. */
  #flushSoon() {
    this.#flushing ??= setImmediate(() => {
      this.#flushing = undefined
      for (const group of this.#groups.values()) this.#flush(group)
    })
  }

  #flush(group: Group) {
    if (group.pending.length === 0) return
    const bytes = group.pending.length === 1 ? (group.pending[0] as Buffer) : Buffer.concat(group.pending)
    group.pending = []
    for (const client of group.clients) {
      if (client.response.writableLength > this.#options.maxUnsentBytes) this.#drop(client, 'slow')
      else this.#write(client, bytes)
    }
  }

  /** From the ring at the client's own pace; it joins the others when it has caught up. */
  #replay(client: Client, from: number) {
    const { ring } = this.#log
    let index = from
    if (index < ring.first) {
      // Newer events have pushed out what this client had yet to read.
      this.#signalGap(client, null)
      index = ring.first
    }
    while (index < ring.next) {
      const event = ring.at(index) as LoggedEvent
      index += 1
      if (belongs(event, client) && !this.#write(client, event.wire)) {
        client.response.once('drain', () => this.#replay(client, index))
        return
      }
    }
    this.#join(client)
  }

  #join(client: Client) {
    if (!this.#all.has(client)) return
    const group = this.#groupOf(client)
    // What is pending was published before now; this client has replayed it or did not ask for it.
    this.#flush(group)
    group.clients.add(client)
    client.group = group
  }

  #signalGap(client: Client, lastEventId: string | null) {
    this.#write(client, this.#gap(lastEventId))
  }

  #gap(lastEventId: string | null): Buffer {
    const { ring } = this.#log
    return Buffer.from(encodeEvent(gapEvent(lastEventId, ring.at(ring.first)?.id ?? null)))
  }

  #write(client: Client, bytes: Buffer): boolean {
    this.#bytes.inc(bytes.length)
    return client.response.write(bytes)
  }

  #beat() {
    for (const client of this.#all) {
      const { response } = client
      // Node counts what waits as written.
      const sentBytes = (response.socket?.bytesWritten ?? 0) - response.writableLength
      const stalled = response.writableLength > 0 && sentBytes === client.sentBytes
      client.sentBytes = sentBytes
      client.stalledBeats = stalled ? client.stalledBeats + 1 : 0
      if (client.stalledBeats > MAX_STALLED_BEATS) this.#drop(client, 'stalled')
      else if (response.writableLength === 0) this.#write(client, HEARTBEAT)
    }
  }

  #drop(client: Client, reason: 'slow' | 'stalled') {
    this.#dropped.inc({ reason })
    this.#logger.warn({ reason, unsentBytes: client.response.writableLength }, 'client dropped')
    this.#forget(client)
    client.response.destroy()
  }

  #forget(client: Client) {
    this.#all.delete(client)
    const { group } = client
    group?.clients.delete(client)
    if (group?.clients.size === 0) this.#groups.delete(group.key)
  }
}

const belongs = (event: LoggedEvent, { topics }: Pick<Client, 'topics'>) =>
  topics === undefined
    ? event.topic === undefined
    : topics.has(EVERY_TOPIC) || (event.topic !== undefined && topics.has(event.topic))
