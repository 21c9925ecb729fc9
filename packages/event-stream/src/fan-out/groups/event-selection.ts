import type { RingEvent } from '../event-ring.ts'

/** The events that a reader gets, and in which form. */
export type EventSelection<E extends RingEvent> = {
  /** Selections with the same key must be equal; their readers share blocks. */
  readonly key: string
  /** Returns what is sent of an event; absent: its bytes. */
  readonly bytesOf?: ((event: E) => Buffer) | undefined
} & (
  | {
      /**
       * The topics of the events, with `undefined` for events without a topic. However many readers select by topics, an
       * event costs only those that get it.
       */
      readonly topics: ReadonlySet<string | undefined>
    }
  | {
      /** Evaluated for each event, once per key. */
      readonly wants: (event: E) => boolean
    }
)

export const wantsOf = <E extends RingEvent>(selection: EventSelection<E>): ((event: E) => boolean) =>
  'wants' in selection ? selection.wants : ({ topic }) => selection.topics.has(topic)
