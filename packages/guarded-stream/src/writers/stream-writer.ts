import type { EventWriter } from '@hallpass/event-stream/fan-out'

/** Why a stream is aborted instead of ended cleanly. */
export type AbortCause =
  /** Events may be missing: the client must not assume that it has received everything. */
  | 'incomplete'
  /** The client does not read. */
  | 'too_slow'
  /** Closes an expired stream as Zilla does, for clients that rely on it. */
  | 'compatibility'

/** Writes a stream to one client. It knows a protocol and a form of events; when to write what is the session's decision. */
export interface StreamWriter extends EventWriter {
  /** Ends the stream cleanly, e.g. with END_STREAM or the last chunk. Aborts it if the client does not read within a second. */
  end(): void
  /** Aborts the stream so that the client can see that it is incomplete; if events are missing, after what was written. */
  abort(cause: AbortCause): void
}
