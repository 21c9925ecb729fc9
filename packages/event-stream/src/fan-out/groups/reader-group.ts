import { EventBatch } from '../event-batch.ts'
import type { EventBlock } from '../event-block.ts'
import type { EventRing, RingEvent } from '../event-ring.ts'
import type { DeliveryFigures, Reader, ReaderSource } from '../reader.ts'
import type { SlowReaderLimits } from '../slow-readers.ts'
import { type EventSelection, wantsOf } from './event-selection.ts'

export interface ReaderGroupOptions<E extends RingEvent> {
  /** Absent: every event. */
  readonly selection: EventSelection<E> | undefined
  readonly ring: EventRing<E>
  readonly limits: SlowReaderLimits
  readonly figures: DeliveryFigures
  /** Called after a block was written to all readers. */
  readonly onDelivered?: (() => void) | undefined
}

/** Readers that receive the same events: the events of one event-loop turn are joined once for all of them. */
export class ReaderGroup<E extends RingEvent> implements ReaderSource<E> {
  readonly selection: EventSelection<E> | undefined
  readonly ring: EventRing<E>
  readonly limits: SlowReaderLimits
  readonly figures: DeliveryFigures
  readonly wants: ((event: E) => boolean) | undefined
  readonly bytesOf: ((event: E) => Buffer) | undefined
  /** The number of readers that have not left, in any state. */
  size = 0
  readonly #onDelivered: (() => void) | undefined
  readonly #live = new Set<Reader<E>>()
  readonly #behind = new Set<Reader<E>>()
  readonly #batch = new EventBatch((...block) => this.#deliver(...block))
  /** The position in the ring where the current batch begins. */
  #batchPosition = 0
  #sentAt = performance.now()

  constructor({ selection, ring, limits, figures, onDelivered }: ReaderGroupOptions<E>) {
    this.selection = selection
    this.wants = selection && wantsOf(selection)
    this.bytesOf = selection?.bytesOf
    this.ring = ring
    this.limits = limits
    this.figures = figures
    this.#onDelivered = onDelivered
  }

  /** Adds the newest event of the ring to the batch, if the group's selection has it. */
  take(event: E): void {
    if (this.wants && !this.wants(event)) return
    if (this.#batch.isEmpty) this.#batchPosition = this.ring.head - 1
    this.#batch.add(this.bytesOf === undefined ? event.bytes : this.bytesOf(event))
  }

  /** Sends a block that is not in the ring to all live readers. */
  send(block: EventBlock): void {
    this.flush()
    for (const reader of this.#live) reader.send(block)
    this.#sentAt = performance.now()
  }

  /** Sends a comment to live readers if nothing was sent since a given time. Readers with a full buffer do not need one. */
  beat(comment: EventBlock, since: number): void {
    if (this.#sentAt > since) return
    this.#sentAt = performance.now()
    for (const reader of this.#live) if (!reader.isFull) reader.send(comment)
  }

  flush(): void {
    this.#batch.flush()
  }

  /** Flushes first: the reader has already read the batched events from the ring and must not receive them twice. */
  onLive(reader: Reader<E>): void {
    this.flush()
    this.#behind.delete(reader)
    this.#live.add(reader)
  }

  onBehind(reader: Reader<E>): void {
    this.#live.delete(reader)
    this.#behind.add(reader)
  }

  leave(reader: Reader<E>): void {
    this.#live.delete(reader)
    this.#behind.delete(reader)
  }

  #deliver(block: EventBlock, events: number, firstOfTurn: boolean) {
    const position = this.#batchPosition
    // Readers that are behind come first: a live reader that falls behind now has already counted this block.
    for (const reader of this.#behind) reader.takeBehind(block, position, firstOfTurn)
    for (const reader of this.#live) reader.takeLive(block, events, position, firstOfTurn)
    this.#sentAt = performance.now()
    this.#onDelivered?.()
  }
}
