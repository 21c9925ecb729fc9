import { pause } from '@hallpass/untrusted/timers'
import { GrpcError, type StatusCode, status } from '../grpc/status.ts'
import { Backoff } from './backoff.ts'

/** Who hears of a watch. */
export interface Watcher<T> {
  /** A full state; what it does not mention is gone. */
  onUpdate(update: T): void
  /** A stream that broke or an answer that was not usable; the watch goes on. */
  onError?(error: Error): void
}

/** Answers after which asking again is pointless or forbidden (Workload Endpoint §6). */
const FINAL: ReadonlySet<StatusCode> = new Set<StatusCode>([status.invalidArgument, status.unimplemented])

/**
 * Reads a stream of the Workload API again and again, with back-off, until the signal says stop.
 *
 * @throws GrpcError InvalidArgument or Unimplemented, after which the server is not asked again
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

/** An answer that is not usable leaves things as they are; the next one is read all the same. */
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
