import type { ClientWriter } from './client-writer.ts'
import { EventBlock } from './event-block.ts'
import type { EventRing } from './event-ring.ts'

/**
 * What a client may have been sent and not taken. Behind this it gets nothing more until it has taken it all: then it
 * reads on from the ring. 64 KiB are four full TLS records; a thousand clients that read nothing hold 64 MiB at most.
 */
export const MAX_PENDING_BYTES = 64 * 1024
/** How much is read from the ring at once for a client that is behind. */
const PIECE_BYTES = 32 * 1024

/** The sums over all clients of a path. */
export interface DeliveryFigures {
  deliveries: number
  bytes: number
}

export interface SubscriberEvents {
  /** It has caught up: from now on it must be given every event. */
  readonly onLive: () => void
  readonly onBehind: () => void
}

/**
 * Where one client stands in the events of its path.
 *
 *   elsewhere ── its private replay meets the ring ──▶ behind ◀── does not take what it is sent ── live
 *                                                        └────── has taken all of the ring ─────▶
 *
 * `elsewhere`: it needs events that are older than the ring; a private connection to the upstream brings them.
 * `behind`: it reads from the ring, at its own pace. `live`: it is sent each event as it comes. `gone`: no more.
 */
export class Subscriber {
  state: 'elsewhere' | 'behind' | 'live' | 'gone' = 'elsewhere'
  readonly writer: ClientWriter
  sentEvents = 0
  sentBytes = 0
  /** The most that it had pending. */
  highWater = 0
  /** The next position of the ring that it needs, while it is behind. */
  position = 0
  readonly #ring: EventRing
  readonly #figures: DeliveryFigures
  readonly #events: SubscriberEvents

  constructor(writer: ClientWriter, ring: EventRing, figures: DeliveryFigures, events: SubscriberEvents) {
    this.writer = writer
    this.#ring = ring
    this.#figures = figures
    this.#events = events
  }

  get isFull(): boolean {
    return this.writer.pending > MAX_PENDING_BYTES
  }

  /** Goes on from a position of the ring. */
  readFrom(position: number): void {
    this.state = 'behind'
    this.position = position
    this.#events.onBehind()
    this.writer.onDrain = () => this.#readOn()
    this.#readOn()
  }

  /** Sends live events, unless too much is pending: then it goes on from the ring, where the events begin at `position`. */
  deliver(block: EventBlock, events: number, position: number): void {
    const { pending } = this.writer
    if (pending > MAX_PENDING_BYTES) this.readFrom(position)
    else this.#write(block, events, pending)
  }

  send(block: EventBlock, events: number): void {
    this.#write(block, events, this.writer.pending)
  }

  /** @param pending asked for once: the question costs as much as the rest of this. */
  #write(block: EventBlock, events: number, pending: number) {
    this.writer.write(block)
    const { length } = block.bytes
    this.sentEvents += events
    this.sentBytes += length
    this.#figures.deliveries += events
    this.#figures.bytes += length
    if (pending + length > this.highWater) this.highWater = pending + length
  }

  leave(): void {
    this.state = 'gone'
    this.writer.onDrain = undefined
  }

  #readOn() {
    while (this.state === 'behind' && !this.isFull) {
      if (this.position === this.#ring.head) {
        this.state = 'live'
        this.writer.onDrain = undefined
        this.#events.onLive()
        return
      }
      // The ring has forgotten what it needs; whoever looks after the ring drops such a client.
      if (this.position < this.#ring.tail) return
      const { bytes, next } = this.#ring.read(this.position, PIECE_BYTES)
      const events = next - this.position
      this.position = next
      this.send(new EventBlock(bytes), events)
    }
  }
}
