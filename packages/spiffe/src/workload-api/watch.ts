import { pause } from '@hallpass/untrusted/timers'
import { GrpcError, type StatusCode, status } from '../grpc/index.ts'
import { Backoff } from './backoff.ts'

/** Receives the results of a watch. */
export interface Watcher<T> {
  /** Called with a complete state, which replaces the previous one. */
  onUpdate(update: T): void
  /** Called when a stream breaks or a response is unusable; the watch continues. */
  onError?(error: Error): void
}

/** Statuses after which a retry is pointless or forbidden (Workload Endpoint §6). */
const FINAL: ReadonlySet<StatusCode> = new Set<StatusCode>([status.invalidArgument, status.unimplemented])

/**
 * Reads a stream of the Workload API and reopens it, with backoff, until the signal is aborted.
 *
 * @throws GrpcError InvalidArgument or Unimplemented, which are not retried
 */
export async function watch<M, T>(
  open: (signal: AbortSignal) => AsyncIterable<M>,
  read: (message: M) => T,
  watcher: Watcher<T>,
  signal: AbortSignal,
  backoff: Backoff = new Backoff(),
): Promise<void> {
  while (!signal.aborted) {
    let broke: unknown
    try {
      for await (const message of open(signal)) {
        backoff.reset()
        deliver(message, read, watcher)
      }
      broke = new GrpcError(status.unavailable, 'the server ended the stream')
    } catch (error) {
      broke = error
    }
    if (signal.aborted) return
    if (!(broke instanceof GrpcError)) throw broke
    if (FINAL.has(broke.code)) throw broke
    watcher.onError?.(broke)
    await pause(backoff.next(broke), signal)
  }
}

/** Delivers a message. An unusable one is reported and skipped, and the stream continues. */
function deliver<M, T>(message: M, read: (message: M) => T, watcher: Watcher<T>): void {
  let update: T
  try {
    update = read(message)
  } catch (error) {
    watcher.onError?.(error as Error)
    return
  }
  watcher.onUpdate(update)
}
