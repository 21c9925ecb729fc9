/** The event types by which a stream's gateway and server talk to its clients; to anyone else they are reserved. */
export const CONTROL_EVENTS = {
  /** Asks the client for a new token. */
  challenge: 'challenge',
  /** Says why the stream closes. */
  end: 'end',
  /** Names the stream, for the answer to a challenge. */
  stream: 'stream',
  /** Says that events are missing here. */
  gap: 'gap',
} as const

/** Whether a type is reserved; types are compared exactly, as clients compare them. */
export const isControlEvent = (type: string): boolean => Object.hasOwn(CONTROL_EVENTS, type)

/** Returns the event that says that some between the last event and the next may be missing. */
export const gapEvent = (lastEventId: string | null, oldest: string | null) => ({
  event: CONTROL_EVENTS.gap,
  data: JSON.stringify({ lastEventId, oldest }),
})
