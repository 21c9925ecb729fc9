import type { EventBlock } from './event-block.ts'

/**
 * The most that may wait in the connection of a reader. Behind this it gets nothing more until it has taken it all; then
 * it continues from the ring. 64 KiB are four full TLS records; a thousand readers that take nothing hold 64 MiB at most.
 */
export const MAX_PENDING_BYTES = 64 * 1024

/**
 * What becomes of a reader that does not take what it is sent. At most {@link MAX_PENDING_BYTES} wait in its connection;
 * the rest stays in the ring, which it reads at its own pace, so the others never notice it. It is dropped when one of
 * these limits is passed, or when the ring no longer holds what it needs next.
 */
export interface SlowReaderLimits {
  /**
   * What may wait for a reader that had caught up, in its connection and in the ring, when the next event comes. Infinity:
   * as much as the ring holds.
   */
  readonly maxWaitingBytes: number
  /** How long a reader may take nothing of what waits in its connection; Infinity: for any time. */
  readonly maxStalledMs: number
  /**
   * Returns what is written to a reader that needs events which the ring no longer holds, before it continues with the
   * oldest one. Absent: such a reader is dropped, so that it reconnects elsewhere or with its last id.
   */
  readonly gap?: (() => EventBlock) | undefined
}

/** Why a reader was dropped: too much waits for it, or it has taken nothing for too long. */
export type DropReason = 'slow' | 'stalled'
