import { encodeEvent, gapEvent, topicLine } from '@hallpass/event-stream'
import { EventRing, type Place, type RingEvent, type RingLimits } from '@hallpass/event-stream/fan-out'
import { EVERY_TOPIC, type Publication, type Topics } from '../publication/index.ts'

/** An event of the log, encoded once for all readers. */
export interface LoggedEvent extends RingEvent {
  /** What readers send as `Last-Event-ID`: the publisher's ID or, without one, the position in the log. */
  readonly id: string
  /** Whether the publisher chose the ID. */
  readonly chosen: boolean
  readonly event: string | undefined
  readonly topic: string | undefined
  /** The same event with the field `topic`, for readers that request it; it shares the memory of `bytes`. */
  readonly withTopic: Buffer
}

/** Where a client continues. */
export interface Cursor {
  /** The position in the ring. */
  readonly position: number
  /** Whether the client may have missed events before this position. */
  readonly gap: boolean
}

/**
 * 10,000 events are five minutes at 30 events per second, longer than any reconnection takes. 64 MiB keep a flood of 1 MiB
 * events from exhausting memory.
 */
export const RING_LIMITS: RingLimits = { maxEvents: 10_000, maxBytes: 64 * 1024 * 1024 }

/**
 * The latest events of the log, for clients that reconnect.
 *
 * The log's own positions are unique. A publisher's ID is looked up only among the events of the reader's topics, because
 * publishers of different topics can use the same IDs.
 */
export class LogRing extends EventRing<LoggedEvent> {
  constructor(limits: RingLimits) {
    super(limits, keysOf)
  }

  /** @param position the event's position in the log, `milliseconds-counter` as in a Redis stream. */
  add(position: string, publication: Publication): LoggedEvent {
    const { topic, ...event } = publication
    const id = event.id ?? position
    const line = topic === undefined ? '' : topicLine(topic)
    const withTopic = Buffer.from(line + encodeEvent({ ...event, id }))
    const logged: LoggedEvent = {
      id,
      chosen: publication.id !== undefined,
      event: event.event,
      topic,
      withTopic,
      bytes: withTopic.subarray(Buffer.byteLength(line)),
    }
    this.append(logged)
    return logged
  }

  /** Returns the stored event with a publisher's ID in a topic. */
  published(id: string, topic: string | undefined): LoggedEvent | undefined {
    const position = this.positionAfter(keyOf(id, topic))
    return position === undefined ? undefined : this.at(position - 1)
  }

  /** Adds a gap in place of an event that was stored although readers would not accept it, with the event's ID and topic. */
  addGap(position: string, { id, topic }: Pick<Publication, 'id' | 'topic'>): LoggedEvent {
    return this.add(position, {
      ...gapEvent(null, null),
      ...(id === undefined ? {} : { id }),
      ...(topic === undefined ? {} : { topic }),
    })
  }

  /**
   * Returns where a client of these topics continues that has seen everything up to an ID. For an unknown or ambiguous
   * ID, it returns all stored events and reports a gap, so that no event is lost silently.
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

/** Returns the key of a publisher's ID. IDs and topics contain no line breaks, so it is unique and never equals a position. */
export const keyOf = (id: string, topic: string | undefined) => `${topic ?? ''}\n${id}`

const keysOf = ({ id, topic, chosen }: LoggedEvent) =>
  chosen ? [keyOf(id, topic), keyOf(id, EVERY_TOPIC)] : [id]
