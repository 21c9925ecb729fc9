import {
  asSentBack,
  CONTROL_EVENTS,
  canBeSentBack,
  encodeEvent,
  gapEvent,
  type OutgoingEvent,
  type SkippedEvent,
  type StreamEvent,
} from '@hallpass/event-stream'
import type { RingEvent } from '@hallpass/event-stream/fan-out'

/** Event types that only this gateway sends. A `gap` comes from the upstream and is forwarded. */
const OWN_TYPES: ReadonlySet<string> = new Set([
  CONTROL_EVENTS.challenge,
  CONTROL_EVENTS.end,
  CONTROL_EVENTS.stream,
])
/** Prefixed to an upstream's type that clients would otherwise mistake for this gateway's. */
const UPSTREAM_PREFIX = 'upstream:'

/** Reports that upstream events between the last one and the next may be missing; this gateway cannot know which. */
export const GAP: RingEvent = encode(gapEvent(null, null))

/** Returns what takes the place of an event that was too large: a gap with its ID, so that a client resumes after it, for the same clients. */
export const inPlaceOf = ({ id, topic, lastEventId }: SkippedEvent): StreamEvent => ({
  ...gapEvent(null, null),
  ...(id === undefined ? {} : { id }),
  ...(topic === undefined ? {} : { topic }),
  lastEventId,
})

/**
 * Returns an upstream event as clients receive it: unchanged, except that reserved types get a prefix and that an ID which
 * no client could send back is omitted; the client then resumes from the previous ID. Its topic selects the clients, which
 * do not receive it.
 */
export function toClientEvent({ event, id, topic, ...rest }: StreamEvent): RingEvent {
  const sent = encode({
    ...rest,
    event: event !== undefined && OWN_TYPES.has(event) ? UPSTREAM_PREFIX + event : event,
    id: id !== undefined && canBeSentBack(id) ? id : undefined,
  })
  return topic === undefined ? sent : { ...sent, topic }
}

/** Returns the ID from which the upstream can resume after an event, or `undefined` if no header can contain it. */
export const resumableId = ({ lastEventId }: StreamEvent): string | undefined =>
  canBeSentBack(lastEventId) ? asSentBack(lastEventId) || undefined : undefined

function encode(event: OutgoingEvent): RingEvent {
  return {
    id: event.id === undefined ? undefined : asSentBack(event.id),
    bytes: Buffer.from(encodeEvent(event)),
  }
}
