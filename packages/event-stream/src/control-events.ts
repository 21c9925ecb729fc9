/** Event types that a stream's gateway and server send to its clients. Publishers must not use them. */
export const CONTROL_EVENTS = {
  /** Requests a new token from the client. */
  challenge: 'challenge',
  /** Contains the reason why the stream closes. */
  end: 'end',
  /** Contains the stream's handle, which the client sends in a challenge response. */
  stream: 'stream',
  /** Reports that events are missing at this point. */
  gap: 'gap',
} as const

/** Returns whether a type is reserved. Types are case-sensitive, as they are for clients. */
export const isControlEvent = (type: string): boolean => Object.hasOwn(CONTROL_EVENTS, type)

/** Returns an event that reports that events between the last one and the next may be missing. */
export const gapEvent = (lastEventId: string | null, oldest: string | null) => ({
  event: CONTROL_EVENTS.gap,
  data: JSON.stringify({ lastEventId, oldest }),
})
