import { HttpError } from '@hallpass/service-kit'
import type { Publication } from '../publication/index.ts'
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
   * Stores an event and resolves to its ID, which the publisher or the log chose.
   * @throws {LogUnavailableError} if it is not certain that the event was stored.
   */
  append(publication: Publication): Promise<string>
  /** Deletes all events, for every server that shares this log. */
  clear(): Promise<void>
  /** Calls a listener for each new event, once and in order, including events that other servers appended. */
  onEvent(listener: (event: LoggedEvent) => void): void
  /** Calls a listener when events were lost between the last one reported and the next. */
  onGap(listener: () => void): void
  /** @throws {LogUnavailableError} while the store does not respond. */
  check(): void
}

/** The store did not respond. It can still store the event later, for example after it was frozen and resumes. */
export class LogUnavailableError extends HttpError {
  constructor(cause?: unknown) {
    super(
      503,
      'log_unavailable',
      'The event log does not respond, so it is unknown whether it stored the event. Retry with your own id, the same each time, so that readers can drop a duplicate.',
      {
        cause,
        headers: { 'retry-after': '1' },
      },
    )
  }
}
