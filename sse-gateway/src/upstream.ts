import { encodeComment, type StreamEvent } from '@hallpass/event-stream'
import type { HttpError, Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import type { CatchUp } from './catch-up.ts'
import { CatchUps } from './catch-ups.ts'
import { GAP, resumableId, toClientEvent } from './client-event.ts'
import type { ClientWriter } from './client-writer.ts'
import { EventBatch } from './event-batch.ts'
import { EventBlock } from './event-block.ts'
import { EventRing, type RingEvent, type RingLimits } from './event-ring.ts'
import { refuseLongId } from './last-event-id.ts'
import { Subscriber } from './subscriber.ts'
import { UpstreamConnection, type UpstreamTarget, unavailable } from './upstream-connection.ts'
import { WaitingList } from './waiting-list.ts'

/** Why the upstream side ends a client's stream. */
export type UpstreamEnd = 'upstream_ended' | 'upstream_failed' | 'client_too_slow'

export interface UpstreamOptions {
  readonly path: string
  readonly target: UpstreamTarget
  readonly log: Logger
  readonly ring: RingLimits
  /** How long clients stay connected while the upstream is away. */
  readonly graceMs: number
  /** A comment goes to all clients when nothing else did for so long. */
  readonly heartbeatMs: number
  /** See {@link CatchUpOptions.quietMs}. */
  readonly quietMs: number
}

/** The figures of a path, read when somebody asks for the metrics: counting must not cost the fan-out anything. */
export interface UpstreamFigures {
  events: number
  deliveries: number
  bytes: number
  reconnects: number
  catchUps: number
  highWater: number
}

/** A page that reloads comes back at once; after that the upstream is free, within the second that is promised. */
const LINGER_MS = 500
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A restart of the upstream takes about a second: a client that comes meanwhile waits instead of being refused. */
const WAIT_FOR_RETRY_MS = 2_000

const HEARTBEAT = new EventBlock(encodeComment())

/** A client's place in the events, held before its stream is opened, so that a refusal can still be a status. */
export interface Place {
  start(writer: ClientWriter, onEnd: (how: UpstreamEnd) => void): Subscriber
  release(): void
}

/**
 * The events of one path: one stream from the upstream, encoded once, for all clients of this gateway.
 *
 *   asleep ── a client comes ──▶ connecting ── 200 ──▶ flowing ── lost ──▶ retrying ── 200 ──▶ flowing
 *     ▲                              │ refused            │                   │
 *     └──────────────────────────────┴─ the last client ──┴── grace is over ──┘
 *                                        has left             (clients are ended)
 *
 * A retry asks the upstream for what is behind the last id, so a client that stays connected misses nothing. Without an
 * id to name, nobody knows what was missed, and clients are told of the gap.
 */
export class Upstream {
  readonly figures: UpstreamFigures = {
    events: 0,
    deliveries: 0,
    bytes: 0,
    reconnects: 0,
    catchUps: 0,
    highWater: 0,
  }
  readonly #options: UpstreamOptions
  #state: 'asleep' | 'connecting' | 'flowing' | 'retrying' = 'asleep'
  #connection: UpstreamConnection | undefined
  #connecting: Promise<void> | undefined
  #ring: EventRing
  /** From where the upstream can go on, if it has given an id. */
  #lastEventId: string | undefined
  #lastFlushAt = 0
  readonly #live = new Set<Subscriber>()
  readonly #behind = new Set<Subscriber>()
  readonly #subscribers = new Map<Subscriber, (how: UpstreamEnd) => void>()
  readonly #batch = new EventBatch((block, count) => this.#deliver(block, count))
  readonly #catchUps: CatchUps
  #reserved = 0
  /** Counts how often it fell asleep, so that an answer to an earlier question is recognised. */
  #awakening = 0
  #flowingSince = 0
  #retryDelay = FIRST_RETRY_MS
  #heartbeat: NodeJS.Timeout | undefined
  #sleepTimer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #graceTimer: NodeJS.Timeout | undefined
  readonly #waitingForFlow = new WaitingList()
  #failure: HttpError | undefined

  constructor(options: UpstreamOptions) {
    this.#options = options
    this.#ring = new EventRing(options.ring)
    this.#catchUps = new CatchUps({
      target: options.target,
      limits: options.ring,
      quietMs: options.quietMs,
      ring: () => this.#ring,
      onFailed: (subscriber) => this.#end(subscriber, 'upstream_failed'),
      onOpen: () => {
        this.figures.catchUps += 1
      },
    })
  }

  get state() {
    return this.#state
  }

  get subscribers(): number {
    return this.#subscribers.size
  }

  /**
   * Wakes the upstream and holds a place in its events: behind `lastEventId`, or now.
   * @throws {HttpError} 502, 503 or 504 with `Retry-After` when the upstream does not deliver, 400 for a long id.
   */
  async reserve(lastEventId?: string): Promise<Place> {
    // An id that this gateway has given out is good whatever its length.
    if (lastEventId !== undefined && this.#ring.positionAfter(lastEventId) === undefined)
      refuseLongId(lastEventId)
    this.#reserved += 1
    clearTimeout(this.#sleepTimer)
    try {
      await this.#flow()
      if (lastEventId === undefined) return this.#place((subscriber) => subscriber.readFrom(this.#ring.head))
      const catchUp = await this.#catchUps.open(lastEventId)
      if (catchUp) return this.#place((subscriber) => this.#catchUps.start(catchUp, subscriber), catchUp)
      const position = this.#ring.positionAfter(lastEventId) as number
      return this.#place((subscriber) => subscriber.readFrom(position))
    } catch (error) {
      this.#unreserve()
      throw error
    }
  }

  leave(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber)) return
    subscriber.leave()
    this.#catchUps.cancel(subscriber)
    this.#live.delete(subscriber)
    this.#behind.delete(subscriber)
    this.figures.highWater = Math.max(this.figures.highWater, subscriber.highWater)
    this.#sleepSoon()
  }

  /** The most that any client had pending since the last time that somebody asked. */
  takeHighWater(): number {
    let { highWater } = this.figures
    for (const subscriber of this.#subscribers.keys()) {
      highWater = Math.max(highWater, subscriber.highWater)
      subscriber.highWater = subscriber.writer.pending
    }
    this.figures.highWater = 0
    return highWater
  }

  stop(): void {
    this.#sleep()
  }

  #place(begin: (subscriber: Subscriber) => void, catchUp?: CatchUp): Place {
    let held = true
    const release = () => {
      if (held) this.#unreserve()
      held = false
    }
    return {
      release: () => {
        if (held) catchUp?.cancel()
        release()
      },
      start: (writer, onEnd) => {
        // What is on its way to the others must not come to this client a second time, from the ring.
        this.#batch.flush()
        const subscriber: Subscriber = new Subscriber(writer, this.#ring, this.figures, {
          onLive: () => {
            this.#batch.flush()
            this.#behind.delete(subscriber)
            this.#live.add(subscriber)
          },
          onBehind: () => {
            this.#live.delete(subscriber)
            this.#behind.add(subscriber)
          },
        })
        this.#subscribers.set(subscriber, onEnd)
        release()
        begin(subscriber)
        return subscriber
      },
    }
  }

  #unreserve() {
    this.#reserved -= 1
    this.#sleepSoon()
  }

  // --- the shared stream

  async #flow(): Promise<void> {
    if (this.#state === 'flowing') return
    if (this.#state === 'retrying') {
      await this.#waitingForFlow.wait(WAIT_FOR_RETRY_MS)
      if (this.#state === 'retrying')
        throw this.#failure ?? unavailable(502, 'upstream_lost', 'The upstream is away.')
      return this.#flow()
    }
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  async #connect(): Promise<void> {
    this.#state = 'connecting'
    try {
      await this.#open()
    } catch (error) {
      if (this.#state === 'connecting') this.#state = 'asleep'
      throw error
    }
    this.#heartbeat = setInterval(() => this.#beat(), cappedMs(this.#options.heartbeatMs / 4)).unref()
  }

  async #open(): Promise<void> {
    const { target, path, log } = this.#options
    const awakening = this.#awakening
    const connection = await UpstreamConnection.open(target, this.#lastEventId, {
      onEvent: (event) => this.#take(event),
      onOver: (how, error) => this.#lost(how, error),
    })
    if (awakening !== this.#awakening) {
      connection.close()
      throw unavailable(502, 'upstream_lost', 'The upstream was given up meanwhile.')
    }
    this.#connection = connection
    this.#state = 'flowing'
    this.#flowingSince = Date.now()
    log.info({ path }, 'the upstream flows')
  }

  #lost(how: 'ended' | 'failed', error?: Error) {
    const { log, path, graceMs } = this.#options
    log.warn({ path, how, err: error }, 'the upstream is lost')
    this.#batch.flush()
    this.#connection = undefined
    if (this.#subscribers.size + this.#reserved === 0) return this.#sleep()
    this.#state = 'retrying'
    this.#failure = unavailable(502, 'upstream_lost', 'The upstream has gone away.', error)
    if (graceMs === 0) return this.#giveUp(how)
    this.#graceTimer ??= setTimeout(() => this.#giveUp(how), cappedMs(graceMs)).unref()
    if (Date.now() - this.#flowingSince > LAST_RETRY_MS) this.#retryDelay = FIRST_RETRY_MS
    this.#retryLater()
  }

  #retryLater() {
    // Several gateways lose one upstream at the same time; they should not all come back at the same time.
    const delay = this.#retryDelay * (0.8 + 0.4 * Math.random())
    this.#retryDelay = Math.min(this.#retryDelay * 2, LAST_RETRY_MS)
    this.#retryTimer = setTimeout(() => void this.#retry(), cappedMs(delay)).unref()
  }

  async #retry(): Promise<void> {
    const resumes = this.#lastEventId !== undefined
    try {
      await this.#open()
    } catch (error) {
      this.#failure = error as HttpError
      // The grace may be over by now.
      if (this.#state === 'retrying') this.#retryLater()
      return
    }
    if (this.#subscribers.size + this.#reserved === 0) return this.#sleep()
    clearTimeout(this.#graceTimer)
    this.#graceTimer = undefined
    this.figures.reconnects += 1
    if (!resumes) this.#add(GAP)
    this.#waitingForFlow.wakeAll()
  }

  #giveUp(how: 'ended' | 'failed') {
    for (const subscriber of [...this.#subscribers.keys()])
      this.#end(subscriber, how === 'ended' ? 'upstream_ended' : 'upstream_failed')
    this.#sleep()
  }

  #sleepSoon() {
    clearTimeout(this.#sleepTimer)
    if (this.#subscribers.size + this.#reserved > 0 || this.#state === 'asleep') return
    this.#sleepTimer = setTimeout(() => this.#sleep(), LINGER_MS).unref()
  }

  /** Forgets everything: what the ring would miss from now on, the upstream replays to whoever asks for it. */
  #sleep() {
    for (const timer of [this.#sleepTimer, this.#retryTimer, this.#graceTimer, this.#heartbeat])
      clearTimeout(timer)
    this.#graceTimer = undefined
    this.#batch.clear()
    this.#connection?.close()
    this.#connection = undefined
    this.#ring = new EventRing(this.#options.ring)
    this.#lastEventId = undefined
    this.#retryDelay = FIRST_RETRY_MS
    this.#awakening += 1
    this.#state = 'asleep'
    this.#waitingForFlow.wakeAll()
  }

  // --- the events

  #take(event: StreamEvent) {
    this.#lastEventId = resumableId(event)
    this.#add(toClientEvent(event))
  }

  #add(event: RingEvent) {
    this.#ring.append(event)
    this.#batch.add(event.bytes)
  }

  /** One write to each client, whatever number of events came in this turn. */
  #deliver(block: EventBlock, count: number) {
    const position = this.#ring.head - count
    for (const subscriber of this.#live) subscriber.deliver(block, count, position)
    this.figures.events += count
    this.#lastFlushAt = Date.now()
    for (const subscriber of this.#behind)
      if (subscriber.position < this.#ring.tail) this.#end(subscriber, 'client_too_slow')
    this.#catchUps.ringGrew()
  }

  #beat() {
    if (Date.now() - this.#lastFlushAt < this.#options.heartbeatMs) return
    this.#lastFlushAt = Date.now()
    for (const subscriber of this.#live) if (!subscriber.isFull) subscriber.send(HEARTBEAT, 0)
  }

  #end(subscriber: Subscriber, how: UpstreamEnd) {
    const onEnd = this.#subscribers.get(subscriber)
    this.leave(subscriber)
    onEnd?.(how)
  }
}
