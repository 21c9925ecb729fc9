import { cappedMs } from '@hallpass/untrusted/timers'
import { encodeComment } from '../encode-event.ts'
import { EventBlock } from './event-block.ts'
import type { EventRing, RingEvent } from './event-ring.ts'
import type { EventWriter } from './event-writer.ts'
import { type DeliveryFigures, Reader } from './reader.ts'
import { ReaderGroup } from './reader-group.ts'
import type { DropReason, SlowReaderLimits } from './slow-readers.ts'

export interface FanOutOptions<E extends RingEvent> {
  readonly ring: EventRing<E>
  /** A comment goes to readers to which nothing else was sent for this time, a quarter of it late at most. */
  readonly heartbeatMs: number
  readonly limits: SlowReaderLimits
  /** Called when a block was given to the readers of a group. */
  readonly onDelivered?: (() => void) | undefined
}

export interface ReaderOptions<E extends RingEvent> {
  readonly onDropped: (reason: DropReason) => void
  /** Which events it gets; absent: all. Readers with the same key want the same events, and share what is joined for them. */
  readonly filter?: { readonly key: string; readonly wants: (event: E) => boolean } | undefined
}

export interface FanOutFigures extends DeliveryFigures {
  events: number
}

const HEARTBEAT = new EventBlock(encodeComment())
/** The key of the group that gets every event; those of topics have a prefix. */
const ALL = ''

/**
 * Sends the events of a ring to any number of readers, each event once and in order. An event is encoded once, and all
 * that come in one turn of the event loop go to each reader in one write. A slow reader never holds up the others:
 * {@link SlowReaderLimits} says what becomes of it.
 */
export class FanOut<E extends RingEvent = RingEvent> {
  readonly figures: FanOutFigures = { events: 0, deliveries: 0, bytes: 0 }
  readonly #options: FanOutOptions<E>
  readonly #groups = new Map<string, ReaderGroup<E>>()
  readonly #readers = new Map<Reader<E>, ReaderGroup<E>>()
  /** The most that a reader had pending which has left since somebody asked. */
  #highWater = 0
  #heart: NodeJS.Timeout | undefined

  constructor(options: FanOutOptions<E>) {
    this.#options = options
  }

  /** How many readers there are, in any state. */
  get size(): number {
    return this.#readers.size
  }

  /** Begins to send heartbeats, and to look for readers that take nothing. */
  start(): void {
    clearInterval(this.#heart)
    this.#heart = setInterval(() => this.#beat(), cappedMs(this.#options.heartbeatMs / 4)).unref()
  }

  stop(): void {
    clearInterval(this.#heart)
  }

  /** Adds a reader, to which its owner writes until `readFrom` places it in the ring. */
  add(writer: EventWriter, { filter, onDropped }: ReaderOptions<E>): Reader<E> {
    const key = filter === undefined ? ALL : `topics ${filter.key}`
    const group = this.#groups.get(key) ?? this.#newGroup(key, filter?.wants)
    const reader = new Reader<E>(group, writer, onDropped)
    group.size += 1
    this.#readers.set(reader, group)
    return reader
  }

  remove(reader: Reader<E>): void {
    const group = this.#readers.get(reader)
    if (!group) return
    this.#readers.delete(reader)
    reader.leave()
    group.leave(reader)
    group.size -= 1
    if (group.size === 0) this.#groups.delete(group.key)
    this.#highWater = Math.max(this.#highWater, reader.highWater)
  }

  /** Sends the event that the ring has just got to all readers that want it, at the end of this turn. */
  take(event: E): void {
    this.figures.events += 1
    for (const group of this.#groups.values()) group.take(event)
  }

  /** Sends what is no event of the ring to all readers that are up to date. */
  send(block: EventBlock): void {
    for (const group of this.#groups.values()) group.send(block)
  }

  /** Sends now what has come in this turn. */
  flush(): void {
    for (const group of this.#groups.values()) group.flush()
  }

  /** Returns the most that any reader had pending since the last call. */
  takeHighWater(): number {
    let highWater = this.#highWater
    for (const reader of this.#readers.keys()) {
      highWater = Math.max(highWater, reader.highWater)
      reader.highWater = reader.writer.pending
    }
    this.#highWater = 0
    return highWater
  }

  #newGroup(key: string, wants: ((event: E) => boolean) | undefined): ReaderGroup<E> {
    const { ring, limits, onDelivered } = this.#options
    const group = new ReaderGroup({ key, wants, ring, limits, figures: this.figures, onDelivered })
    this.#groups.set(key, group)
    return group
  }

  #beat() {
    const now = performance.now()
    for (const group of this.#groups.values()) group.beat(HEARTBEAT, now - this.#options.heartbeatMs)
    if (Number.isFinite(this.#options.limits.maxStalledMs))
      for (const reader of this.#readers.keys()) if (reader.isStalled(now)) reader.drop('stalled')
  }
}
