import { EventBlock } from './event-block.ts'
import type { EventRing, RingEvent } from './event-ring.ts'
import type { EventWriter } from './event-writer.ts'
import { type DropReason, MAX_PENDING_BYTES, type SlowReaderLimits } from './slow-readers.ts'

/** How many bytes are read from the ring at a time for a reader that is behind. */
const PIECE_BYTES = 32 * 1024

/** Totals over all readers. */
export interface DeliveryFigures {
  deliveries: number
  bytes: number
}

/** What a reader needs from its fan-out. */
export interface ReaderSource<E extends RingEvent> {
  readonly ring: EventRing<E>
  readonly limits: SlowReaderLimits
  readonly figures: DeliveryFigures
  /** Selects the events to send; absent: all. */
  readonly wants: ((event: E) => boolean) | undefined
  /** Returns what is sent of an event; absent: its bytes. */
  readonly bytesOf: ((event: E) => Buffer) | undefined
  /** Called when the reader has caught up: from now on it must be given every event. */
  onLive(reader: Reader<E>): void
  onBehind(reader: Reader<E>): void
}

/**
 * Tracks the position of one reader in the events of a ring.
 *
 *   elsewhere ── readFrom ──▶ behind ◀── reads too slowly ─────── live
 *                                └────── has read the whole ring ──▶
 *
 * `elsewhere`: only its owner writes to it. `behind`: it reads from the ring at its own pace. `live`: it is sent each
 * event immediately. `gone`: it has been removed.
 */
export class Reader<E extends RingEvent = RingEvent> {
  readonly writer: EventWriter
  sentEvents = 0
  sentBytes = 0
  /** The most bytes that it had pending. */
  highWater = 0
  #state: 'elsewhere' | 'behind' | 'live' | 'gone' = 'elsewhere'
  readonly #source: ReaderSource<E>
  readonly #figures: DeliveryFigures
  /** With no more than this pending, a live reader is sent what comes. */
  readonly #easyBytes: number
  readonly #onDropped: (reason: DropReason) => void
  /** The ring position from which it reads next, while it is behind. */
  #position = 0
  /** Whether it has ever caught up; until then it is replaying, and can be behind by as much as the ring contains. */
  #wasLive = false
  /** How many bytes of the events since it was last live it still has to read from the ring. */
  #behindBytes = 0
  #takenBytes = 0
  #progressAt = performance.now()

  constructor(source: ReaderSource<E>, writer: EventWriter, onDropped: (reason: DropReason) => void) {
    this.#source = source
    this.#figures = source.figures
    this.#easyBytes = Math.min(MAX_PENDING_BYTES, source.limits.maxWaitingBytes)
    this.writer = writer
    this.#onDropped = onDropped
  }

  get state() {
    return this.#state
  }

  get isFull(): boolean {
    return this.writer.pending > MAX_PENDING_BYTES
  }

  /** Continues from a position in the ring. */
  readFrom(position: number): void {
    this.#state = 'behind'
    this.#position = position
    this.#source.onBehind(this)
    this.writer.onDrain = () => this.#readOn()
    this.#readOn()
  }

  /** Writes a block that is not in the ring. */
  send(block: EventBlock, events = 0): void {
    this.#write(block, events, this.writer.pending)
  }

  /** Writes an event that is not in the ring, if the reader's selection has it. */
  sendEvent(event: E): void {
    const { wants, bytesOf } = this.#source
    if (wants && !wants(event)) return
    this.send(new EventBlock(bytesOf ? bytesOf(event) : event.bytes), 1)
  }

  /**
   * Writes the next block while the reader is live. If too much is pending, the reader continues from the ring instead,
   * where the block begins at `position`.
   */
  takeLive(block: EventBlock, events: number, position: number, firstOfTurn: boolean): void {
    const { pending } = this.writer
    if (pending <= this.#easyBytes) this.#write(block, events, pending)
    else if (pending > this.#source.limits.maxWaitingBytes && firstOfTurn) this.#onDropped('slow')
    else if (pending > MAX_PENDING_BYTES) {
      this.#behindBytes = block.bytes.length
      this.readFrom(position)
    } else this.#write(block, events, pending)
  }

  /** Counts, while the reader is behind, a block that begins at `position` of the ring and that it will read from there. */
  takeBehind(block: EventBlock, position: number, firstOfTurn: boolean): void {
    const { ring, limits } = this.#source
    if (this.#position < ring.tail && !limits.gap) this.#onDropped('slow')
    else if (!this.#wasLive) return
    else if (firstOfTurn && this.writer.pending + this.#behindBytes > limits.maxWaitingBytes)
      this.#onDropped('slow')
    else if (this.#position <= position) this.#behindBytes += block.bytes.length
  }

  /** Returns whether it has read nothing for longer than a limit, by default the source's; to be called regularly. */
  isStalled(now: number, maxStalledMs = this.#source.limits.maxStalledMs): boolean {
    const { pending } = this.writer
    // Framing counts as pending but not as sent, so this can be too small but never too large.
    const taken = this.sentBytes - pending
    if (pending === 0 || taken > this.#takenBytes) {
      this.#takenBytes = taken
      this.#progressAt = now
    }
    return now - this.#progressAt > maxStalledMs
  }

  /** Writes the rest of the ring before the stream closes, even if too much is pending, unless it has never caught up. */
  takeRest(): void {
    if (this.#wasLive) this.#readOn(true)
  }

  drop(reason: DropReason): void {
    this.#onDropped(reason)
  }

  leave(): void {
    this.#state = 'gone'
    this.writer.onDrain = undefined
  }

  #readOn(whole = false) {
    const { ring, limits } = this.#source
    while (this.#state === 'behind' && (whole || !this.isFull)) {
      if (this.#position < ring.tail) {
        if (!limits.gap) return this.#onDropped('slow')
        this.send(limits.gap())
        this.#position = ring.tail
      }
      if (this.#position === ring.head) return this.#catchUp()
      const { bytes, events, next } = ring.read(this.#position, PIECE_BYTES, this.#source)
      this.#position = next
      this.#behindBytes = Math.max(0, this.#behindBytes - bytes.length)
      if (events > 0) this.send(new EventBlock(bytes), events)
    }
  }

  #catchUp() {
    this.#state = 'live'
    this.#wasLive = true
    this.#behindBytes = 0
    this.writer.onDrain = undefined
    this.#source.onLive(this)
  }

  /** @param pending `writer.pending`, passed in because reading it costs as much as the rest of this method. */
  #write(block: EventBlock, events: number, pending: number) {
    this.writer.write(block)
    const { length } = block.bytes
    const figures = this.#figures
    this.sentEvents += events
    this.sentBytes += length
    figures.deliveries += events
    figures.bytes += length
    if (pending + length > this.highWater) this.highWater = pending + length
  }
}
