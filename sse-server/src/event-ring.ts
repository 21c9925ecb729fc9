import { encodeEvent } from '@hallpass/event-stream'
import type { Publication } from './publication.ts'

/** An event with its place in the log, encoded once for all its readers. */
export interface LoggedEvent {
  /** Opaque to clients; grows from event to event, also over restarts: `milliseconds-counter`, as in a Redis stream. */
  readonly position: string
  readonly event: string | undefined
  readonly topic: string | undefined
  readonly wire: Buffer
}

/** Where a client goes on reading. */
export interface Cursor {
  /** Of the next event to send. */
  readonly index: number
  /** Events between the client's last one and this are gone. */
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

const POSITION = /^(\d{1,16})(?:-(\d{1,16}))?$/

/** The latest events, for clients that come back. Indexes count up for ever; the oldest events fall out. */
export class EventRing {
  readonly #limits: EventRingLimits
  #events: (LoggedEvent | undefined)[] = []
  /** Index of `#events[0]`; slots before `#dropped` are empty and are cut off in bulk. */
  #base = 0
  #dropped = 0
  #bytes = 0
  /** Ids that publishers chose, with the index of the latest event of that id. */
  readonly #chosen = new Map<string, number>()
  /** The position up to which events may be missing. */
  #goneThrough: string

  /** @param goneThrough the log knows nothing of what happened up to this position. */
  constructor(limits: EventRingLimits, goneThrough: string) {
    this.#limits = limits
    this.#goneThrough = goneThrough
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

  add(position: string, publication: Publication): LoggedEvent {
    const logged: LoggedEvent = {
      position,
      event: publication.event,
      topic: publication.topic,
      wire: Buffer.from(encodeEvent({ ...publication, id: publication.id ?? position })),
    }
    if (publication.id !== undefined) {
      // Removed first, so that the map stays in the order of the indexes.
      this.#chosen.delete(publication.id)
      this.#chosen.set(publication.id, this.next)
    }
    this.#events.push(logged)
    this.#bytes += logged.wire.length
    while (this.size > this.#limits.events || (this.#bytes > this.#limits.bytes && this.size > 1))
      this.#drop()
    return logged
  }

  /** Forgets every event; who resumes from one of them is told of the gap. */
  clear(): void {
    while (this.size > 0) this.#drop()
  }

  /** Events before this position existed and are not here; the one at it may be. */
  forgetBefore(position: string): void {
    const { time, count } = parsePosition(position)
    this.#goneThrough = count > 0 ? `${time}-${count - 1}` : `${time - 1}-${Number.MAX_SAFE_INTEGER}`
  }

  /**
   * Where a client continues that has seen everything up to an id. An id that nobody knows here gets everything that
   * is held, because only that loses nothing.
   */
  after(lastEventId: string): Cursor {
    const chosen = this.#chosen.get(lastEventId)
    if (chosen !== undefined) return { index: chosen + 1, gap: false }
    if (!POSITION.test(lastEventId) || comparePositions(lastEventId, this.#goneThrough) < 0)
      return { index: this.first, gap: true }
    let [low, high] = [this.first, this.next]
    while (low < high) {
      const middle = (low + high) >> 1
      if (comparePositions((this.at(middle) as LoggedEvent).position, lastEventId) <= 0) low = middle + 1
      else high = middle
    }
    return { index: low, gap: false }
  }

  #drop() {
    const logged = this.#events[this.#dropped] as LoggedEvent
    const index = this.first
    this.#goneThrough = logged.position
    this.#bytes -= logged.wire.length
    this.#events[this.#dropped] = undefined
    this.#dropped += 1
    for (const [id, latest] of this.#chosen) {
      if (latest > index) break
      this.#chosen.delete(id)
    }
    // One copy for half a ring of events, instead of one for each.
    if (this.#dropped * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#dropped)
      this.#base += this.#dropped
      this.#dropped = 0
    }
  }
}

/** Below zero when `a` is before `b`. */
export function comparePositions(a: string, b: string): number {
  const [first, second] = [parsePosition(a), parsePosition(b)]
  return first.time - second.time || first.count - second.count
}

/** A missing counter means 0. */
function parsePosition(position: string): { time: number; count: number } {
  const [, time, count = 0] = POSITION.exec(position) ?? []
  return { time: Number(time), count: Number(count) }
}
