import type { EventStreamParser } from '@hallpass/event-stream'
import { cappedMs } from '@hallpass/untrusted/timers'

export interface StuckCheckOptions {
  readonly parser: Pick<EventStreamParser, 'isInside' | 'progress'>
  readonly stuckMs: number
  /** While the stream is paused, nothing can end. */
  readonly isPaused: () => boolean
  readonly onStuck: () => void
}

/** How often it is checked in that time, which is how exact the time is; no timer is needed for each chunk. */
const CHECKS = 6

/**
 * Calls `onStuck` once if a stream has been within one line, or one event that is too large, for `stuckMs`. It sends bytes, or
 * has sent some, but nothing that can be forwarded, and its next events will not come either.
 * @returns the function that ends the check
 */
export function checkStuck({ parser, stuckMs, isPaused, onStuck }: StuckCheckOptions): () => void {
  let seen = parser.progress
  let checks = 0
  const timer = setInterval(
    () => {
      const isStuck = parser.isInside && parser.progress === seen && !isPaused()
      seen = parser.progress
      checks = isStuck ? checks + 1 : 0
      // The first check that finds it inside can be just after it began.
      if (checks <= CHECKS) return
      clearInterval(timer)
      onStuck()
    },
    cappedMs(stuckMs / CHECKS),
  ).unref()
  return () => clearInterval(timer)
}
