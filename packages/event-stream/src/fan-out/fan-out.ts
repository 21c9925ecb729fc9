import { cappedMs } from '@hallpass/untrusted/timers'
import { encodeComment } from '../encode-event.ts'
import { EventBlock } from './event-block.ts'
import type { EventRing, RingEvent } from './event-ring.ts'
import type { EventWriter } from './event-writer.ts'
import { type EventSelection, type ReaderGroup, ReaderGroups } from './groups/index.ts'
import { type DeliveryFigures, Reader } from './reader.ts'
import type { DropReason, SlowReaderLimits } from './slow-readers.ts'

export interface FanOutOptions<E extends RingEvent> {
  readonly ring: EventRing<E>
  /** Readers that were sent nothing else for this long get a comment, at most a quarter of this time late. */
  readonly heartbeatMs: number
  readonly limits: SlowReaderLimits
  /** Called after a block was written to the readers of a group. */
  readonly onDelivered?: (() => void) | undefined
}

export interface ReaderOptions<E extends RingEvent> {
  readonly onDropped: (reason: DropReason) => void
  /** The events to send; absent: all. */
  readonly selection?: EventSelection<E> | undefined
}

export interface FanOutFigures extends DeliveryFigures {
  events: number
}

const HEARTBEAT = new EventBlock(encodeComment())

/**
 * Sends the events of a ring to any number of readers, each event once and in order. An event is encoded once, and the
 * events of one event-loop turn go to each reader in one write. A slow reader never delays the others; it is handled as
 * {@link SlowReaderLimits} defines.
 */
export class FanOut<E extends RingEvent = RingEvent> {
  readonly figures: FanOutFigures = { events: 0, deliveries: 0, bytes: 0 }
  readonly #options: FanOutOptions<E>
  readonly #groups: ReaderGroups<E>
  readonly #readers = new Map<Reader<E>, ReaderGroup<E>>()
  /** The most bytes that any of the readers removed since the last `takeHighWater` had pending. */
  #highWater = 0
  #heart: NodeJS.Timeout | undefined

  constructor(options: FanOutOptions<E>) {
    this.#options = options
    this.#groups = new ReaderGroups({ ...options, figures: this.figures })
  }

  /** Returns the number of readers, in any state. */
  get size(): number {
    return this.#readers.size
  }

  /** Starts sending heartbeats and checking for stalled readers. */
  start(): void {
    clearInterval(this.#heart)
    this.#heart = setInterval(() => this.#beat(), cappedMs(this.#options.heartbeatMs / 4)).unref()
  }

  stop(): void {
    clearInterval(this.#heart)
  }

  /** Adds a reader. Until `readFrom` gives it a position in the ring, only its owner writes to it. */
  add(writer: EventWriter, { selection, onDropped }: ReaderOptions<E>): Reader<E> {
    const group = this.#groups.join(selection)
    const reader = new Reader<E>(group, writer, onDropped)
    this.#readers.set(reader, group)
    return reader
  }

  remove(reader: Reader<E>): void {
    const group = this.#readers.get(reader)
    if (!group) return
    this.#readers.delete(reader)
    reader.leave()
    group.leave(reader)
    this.#groups.leave(group)
    this.#highWater = Math.max(this.#highWater, reader.highWater)
  }

  /** Sends the event that was just appended to the ring to all readers whose selection has it, at the end of this turn. */
  take(event: E): void {
    this.figures.events += 1
    this.#groups.take(event)
  }

  /** Sends a block that is not in the ring to all live readers. */
  send(block: EventBlock): void {
    for (const group of this.#groups.values()) group.send(block)
  }

  /** Sends the events of this turn now. */
  flush(): void {
    for (const group of this.#groups.values()) group.flush()
  }

  /** Returns the most bytes that any reader had pending since the last call. */
  takeHighWater(): number {
    let highWater = this.#highWater
    for (const reader of this.#readers.keys()) {
      highWater = Math.max(highWater, reader.highWater)
      reader.highWater = reader.writer.pending
    }
    this.#highWater = 0
    return highWater
  }

  #beat() {
    const now = performance.now()
    for (const group of this.#groups.values()) group.beat(HEARTBEAT, now - this.#options.heartbeatMs)
    if (Number.isFinite(this.#options.limits.maxStalledMs))
      for (const reader of this.#readers.keys()) if (reader.isStalled(now)) reader.drop('stalled')
  }
}
