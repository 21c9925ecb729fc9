import { HttpError } from '@hallpass/service-kit'
import { type Publication, PublicationError, shown } from '../publication/index.ts'
import type { LoggedEvent, LogRing } from './log-ring.ts'

/**
 * Stores published events in one order for all readers. There are two implementations: in this process's memory, and in
 * a Redis stream that several servers share. `event-log.test.ts` is the contract of both.
 */
export interface EventLog {
  /** The latest events, always in memory, so that replay works while the store does not respond. */
  readonly ring: LogRing
  /** False until the ring contains the store's events; before that, the events that a client missed are unknown. */
  readonly loaded: boolean
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Stores events in order, all or none, and resolves to their IDs, which the publisher or the log chose. One that is stored with
   * the same ID of a publisher, topic and content is not stored again, so a publisher can repeat what it does not know to be stored.
   * @throws {IdConflictError} if one has the ID and the topic of a stored event with other content.
   * @throws {LogUnavailableError} if it is not certain that the events were stored.
   */
  append(publications: readonly Publication[]): Promise<string[]>
  /** Deletes all events, for every server that shares this log. */
  clear(): Promise<void>
  /** Calls a listener for each new event, once and in order, including events that other servers appended. */
  onEvent(listener: (event: LoggedEvent) => void): void
  /** Calls a listener when events were lost between the last one reported and the next. */
  onGap(listener: () => void): void
  /** @throws {LogUnavailableError} while the store does not respond. */
  check(): void
}

/** A publisher's ID is stored with other content: readers could not tell which of the two events they have seen. */
export class IdConflictError extends PublicationError {
  /** The place of the publication among those that were to be stored, from 0. */
  readonly index: number

  constructor(publications: readonly Publication[], index: number) {
    super(
      'id_conflict',
      `id ${shown(publications[index]?.id)} is stored with other content. Give other content another id; to repeat a publication, send the same content.`,
    )
    this.index = index
  }
}

/** The store did not respond. It can still store the event later, for example after it was frozen and resumes. */
export class LogUnavailableError extends HttpError {
  constructor(cause?: unknown) {
    super(
      503,
      'log_unavailable',
      'The event log does not respond, so it is unknown whether it stored the event. Publish it again with an id of your own, the same each time: then it is stored once.',
      {
        cause,
        headers: { 'retry-after': '1' },
      },
    )
  }
}
