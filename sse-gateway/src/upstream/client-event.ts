import {
  asSentBack,
  CONTROL_EVENTS,
  canBeSentBack,
  encodeEvent,
  gapEvent,
  type OutgoingEvent,
  type StreamEvent,
} from '@hallpass/event-stream'
import type { RingEvent } from '@hallpass/event-stream/fan-out'

/** The types by which this gateway talks to its clients. A `gap` is the upstream's word, and it is passed on. */
const OWN_TYPES: ReadonlySet<string> = new Set([
  CONTROL_EVENTS.challenge,
  CONTROL_EVENTS.end,
  CONTROL_EVENTS.stream,
])
/** Before a type of an upstream that clients would otherwise take for this gateway's. */
const UPSTREAM_PREFIX = 'upstream:'

/** Some events of the upstream between the last one and the next may be missing; which, this gateway cannot know. */
export const GAP: RingEvent = encode(gapEvent(null, null))

/**
 * Returns an event of the upstream as clients get it: unchanged, except that it cannot speak for this gateway, and that an
 * id which no client could send back is left out; the client then resumes from the id before it.
 */
export function toClientEvent({ event, id, ...rest }: StreamEvent): RingEvent {
  return encode({
    ...rest,
    event: event !== undefined && OWN_TYPES.has(event) ? UPSTREAM_PREFIX + event : event,
    id: id !== undefined && canBeSentBack(id) ? id : undefined,
  })
}

/** Returns the id from which an upstream can resume after an event; `undefined` when there is none that a header carries. */
export const resumableId = ({ lastEventId }: StreamEvent): string | undefined =>
  canBeSentBack(lastEventId) ? asSentBack(lastEventId) || undefined : undefined

function encode(event: OutgoingEvent): RingEvent {
  return {
    id: event.id === undefined ? undefined : asSentBack(event.id),
    bytes: Buffer.from(encodeEvent(event)),
  }
}
