import { EventBatch } from './event-batch.ts'
import type { EventBlock } from './event-block.ts'
import type { EventRing, RingEvent } from './event-ring.ts'
import type { DeliveryFigures, Reader, ReaderSource } from './reader.ts'
import type { SlowReaderLimits } from './slow-readers.ts'

export interface ReaderGroupOptions<E extends RingEvent> {
  readonly key: string
  readonly ring: EventRing<E>
  readonly limits: SlowReaderLimits
  readonly figures: DeliveryFigures
  readonly wants: ((event: E) => boolean) | undefined
  /** Called when a block was given to all. */
  readonly onDelivered?: (() => void) | undefined
}

/** Readers that get the same events: what comes in one turn of the event loop is joined once, for all of them. */
export class ReaderGroup<E extends RingEvent> implements ReaderSource<E> {
  readonly key: string
  readonly ring: EventRing<E>
  readonly limits: SlowReaderLimits
  readonly figures: DeliveryFigures
  readonly wants: ((event: E) => boolean) | undefined
  /** How many readers have not left, in any state. */
  size = 0
  readonly #onDelivered: (() => void) | undefined
  readonly #live = new Set<Reader<E>>()
  readonly #behind = new Set<Reader<E>>()
  readonly #batch = new EventBatch((...block) => this.#deliver(...block))
  /** Where in the ring the batch begins. */
  #batchPosition = 0
  #sentAt = performance.now()

  constructor({ key, ring, limits, figures, wants, onDelivered }: ReaderGroupOptions<E>) {
    this.key = key
    this.ring = ring
    this.limits = limits
    this.figures = figures
    this.wants = wants
    this.#onDelivered = onDelivered
  }

  /** Takes an event that the ring has got, and behind which it ends now. */
  take(event: E): void {
    if (this.wants && !this.wants(event)) return
    if (this.#batch.isEmpty) this.#batchPosition = this.ring.head - 1
    this.#batch.add(event.bytes)
  }

  /** Sends to all live readers what is not an event of the ring. */
  send(block: EventBlock): void {
    this.flush()
    for (const reader of this.#live) reader.send(block)
    this.#sentAt = performance.now()
  }

  /** Sends a comment when nothing was sent since a time; a reader that has much to take needs none. */
  beat(comment: EventBlock, since: number): void {
    if (this.#sentAt > since) return
    this.#sentAt = performance.now()
    for (const reader of this.#live) if (!reader.isFull) reader.send(comment)
  }

  flush(): void {
    this.#batch.flush()
  }

  /** What is on its way to the others must not come to a reader a second time that has read it from the ring. */
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
    // Those that are behind first: who falls behind by this block has it counted already.
    for (const reader of this.#behind) reader.takeBehind(block, position, firstOfTurn)
    for (const reader of this.#live) reader.takeLive(block, events, position, firstOfTurn)
    this.#sentAt = performance.now()
    this.#onDelivered?.()
  }
}
