import { encodeEvent } from '@hallpass/event-stream'
import { EventPlaces, type Topics } from './event-places.ts'
import type { Publication } from './publication.ts'

/** An event of the log, encoded once for all its readers. */
export interface LoggedEvent {
  /** What its readers send back as `Last-Event-ID`: the publisher's id, or else the position in the log. */
  readonly id: string
  /** Whether the publisher chose the id. */
  readonly chosen: boolean
  readonly event: string | undefined
  readonly topic: string | undefined
  readonly wire: Buffer
}

/** Where a client goes on reading. */
export interface Cursor {
  /** Of the next event to send. */
  readonly index: number
  /** It is not certain that the client has seen every event before this one. */
  readonly gap: boolean
}

export interface EventRingLimits {
  readonly events: number
  readonly bytes: number
}

/**
 * 10,000 events are five minutes at 30 events a second: longer than any reconnection. 64 MiB keep a
 * flood of 1 MiB events from filling the memory.
 */
export const RING_LIMITS: EventRingLimits = { events: 10_000, bytes: 64 * 1024 * 1024 }

/**
 * The latest events, for clients that come back. Indexes only grow; the oldest events fall out.
 *
 * A client continues behind the event with its id, found by that id itself and not by comparing positions: an id of
 * another log, of this one before its store was emptied, or of a clock that was set back then cannot pass for a place here.
 */
export class EventRing {
  readonly #limits: EventRingLimits
  #events: (LoggedEvent | undefined)[] = []
  /** Index of `#events[0]`; slots before `#dropped` are empty and are cut off in bulk. */
  #base = 0
  #dropped = 0
  #bytes = 0
  readonly #places = new EventPlaces()
  /** The newest event that is no longer held; nothing is missing between it and the oldest. */
  #lastDropped: LoggedEvent | undefined

  constructor(limits: EventRingLimits) {
    this.#limits = limits
  }

  /** Index of the oldest event that is held. */
  get first(): number {
    return this.#base + this.#dropped
  }

  /** Index that the next event will have. */
  get next(): number {
    return this.#base + this.#events.length
  }

  get size(): number {
    return this.next - this.first
  }

  get bytes(): number {
    return this.#bytes
  }

  at(index: number): LoggedEvent | undefined {
    return index < this.first ? undefined : this.#events[index - this.#base]
  }

  /** @param position where the event is in the log: `milliseconds-counter`, as in a Redis stream. */
  add(position: string, publication: Publication): LoggedEvent {
    const id = publication.id ?? position
    const logged: LoggedEvent = {
      id,
      chosen: publication.id !== undefined,
      event: publication.event,
      topic: publication.topic,
      wire: Buffer.from(encodeEvent({ ...publication, id })),
    }
    this.#places.add(this.next, id, logged.topic, logged.chosen)
    this.#events.push(logged)
    this.#bytes += logged.wire.length
    while (this.size > this.#limits.events || (this.#bytes > this.#limits.bytes && this.size > 1))
      this.#drop()
    return logged
  }

  /** Forgets every event; a client that has seen the newest has missed nothing. */
  clear(): void {
    while (this.size > 0) this.#drop()
  }

  /** Forgets every event, because others that are not here may have followed the newest. */
  interrupt(): void {
    this.clear()
    this.#lastDropped = undefined
  }

  /**
   * Where a client of some topics continues that has seen everything up to an id. An id that is not known here, or is
   * ambiguous, gets everything that is held, and is told of the gap: that loses nothing without a word.
   */
  after(lastEventId: string, topics: Topics): Cursor {
    const place = this.#places.find(lastEventId, topics)
    if (typeof place === 'number') return { index: place + 1, gap: false }
    const { id, chosen } = this.#lastDropped ?? {}
    return { index: this.first, gap: place === 'ambiguous' || chosen !== false || id !== lastEventId }
  }

  #drop() {
    const logged = this.#events[this.#dropped] as LoggedEvent
    this.#places.drop(this.first, logged.id, logged.topic, logged.chosen)
    this.#lastDropped = logged
    this.#bytes -= logged.wire.length
    this.#events[this.#dropped] = undefined
    this.#dropped += 1
    // One copy for half a ring of events, instead of one for each.
    if (this.#dropped * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#dropped)
      this.#base += this.#dropped
      this.#dropped = 0
    }
  }
}
