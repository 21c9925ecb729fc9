import { HttpError } from '@hallpass/service-kit'
import type { Publication } from '../publication/index.ts'
import type { LoggedEvent, LogRing } from './log-ring.ts'

/**
 * Everything that was published, in one order for all readers. There are two: in this process's memory, and in a Redis
 * stream that several servers share; `event-log.test.ts` is the contract of both.
 */
export interface EventLog {
  /** The latest events, always in memory, so that replay works while the store does not answer. */
  readonly ring: LogRing
  /** False until the ring holds what the store does; before that no client can be told what it missed. */
  readonly loaded: boolean
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Keeps an event and resolves with its id, whichever the publisher or the log chose.
   * @throws {LogUnavailableError} when it is not certain that the event was kept.
   */
  append(publication: Publication): Promise<string>
  /** Forgets all events, for every server of this log. */
  clear(): Promise<void>
  /** Each new event once and in order, also those that other servers appended. */
  onEvent(listener: (event: LoggedEvent) => void): void
  /** Events have been lost between the last one that was told and the next. */
  onGap(listener: () => void): void
  /** @throws {LogUnavailableError} while the store does not answer. */
  check(): void
}

/** A store that has not answered may still keep the event, e.g. when it was frozen and goes on. */
export class LogUnavailableError extends HttpError {
  constructor(cause?: unknown) {
    super(
      503,
      'log_unavailable',
      'The event log does not answer, and may have kept the event or not. Try again in a moment; with an id of your own, the same each time, readers can drop a duplicate.',
      {
        cause,
        headers: { 'retry-after': '1' },
      },
    )
  }
}
