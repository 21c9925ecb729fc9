import { encodeEvent } from '@hallpass/event-stream'
import { EventRing, type Place, type RingEvent, type RingLimits } from '@hallpass/event-stream/fan-out'
import { EVERY_TOPIC, type Publication, type Topics } from '../publication/index.ts'

/** An event of the log, encoded once for all its readers. */
export interface LoggedEvent extends RingEvent {
  /** What its readers send back as `Last-Event-ID`: the publisher's id, or else the position in the log. */
  readonly id: string
  /** Whether the publisher chose the id. */
  readonly chosen: boolean
  readonly event: string | undefined
  readonly topic: string | undefined
}

/** Where a client goes on reading. */
export interface Cursor {
  /** In the ring. */
  readonly position: number
  /** It is not certain that the client has seen every event before this one. */
  readonly gap: boolean
}

/**
 * 10,000 events are five minutes at 30 events a second: longer than any reconnection. 64 MiB keep a
 * flood of 1 MiB events from filling the memory.
 */
export const RING_LIMITS: RingLimits = { maxEvents: 10_000, maxBytes: 64 * 1024 * 1024 }

/**
 * The latest events of the log, for clients that come back.
 *
 * The log's own positions are unique. A publisher's id is only looked up among the events that its reader gets, because
 * publishers of different topics may count alike.
 */
export class LogRing extends EventRing<LoggedEvent> {
  constructor(limits: RingLimits) {
    super(limits, keysOf)
  }

  /** @param position where the event is in the log: `milliseconds-counter`, as in a Redis stream. */
  add(position: string, publication: Publication): LoggedEvent {
    const id = publication.id ?? position
    const logged: LoggedEvent = {
      id,
      chosen: publication.id !== undefined,
      event: publication.event,
      topic: publication.topic,
      bytes: Buffer.from(encodeEvent({ ...publication, id })),
    }
    this.append(logged)
    return logged
  }

  /**
   * Where a client of some topics continues that has seen everything up to an id. An id that is not known here, or is
   * ambiguous, gets everything that is held, and is told of the gap: that loses nothing without a word.
   */
  after(lastEventId: string, topics: Topics): Cursor {
    const place = this.#placeOf(lastEventId, topics)
    if (typeof place === 'number') return { position: place, gap: false }
    const { id, chosen } = this.lastDropped ?? {}
    return { position: this.tail, gap: place === 'ambiguous' || chosen !== false || id !== lastEventId }
  }

  #placeOf(id: string, topics: Topics): Place {
    const own = this.placeAfter(id)
    if (own !== 'unknown') return own
    const places = (topics?.has(EVERY_TOPIC) ? [EVERY_TOPIC] : [...(topics ?? [undefined])])
      .map((topic) => this.placeAfter(keyOf(id, topic)))
      .filter((place) => place !== 'unknown')
    return places.length > 1 ? 'ambiguous' : (places[0] ?? 'unknown')
  }
}

/** Neither ids nor topics contain a line break, so no two of these are alike, and none is a position. */
const keyOf = (id: string, topic: string | undefined) => `${topic ?? ''}\n${id}`

const keysOf = ({ id, topic, chosen }: LoggedEvent) =>
  chosen ? [keyOf(id, topic), keyOf(id, EVERY_TOPIC)] : [id]
