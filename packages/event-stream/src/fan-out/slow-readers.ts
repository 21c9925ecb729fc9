import type { EventBlock } from './event-block.ts'

/**
 * The most bytes that can wait in a reader's connection. Beyond this, it is sent nothing until its buffer has drained;
 * then it continues from the ring. 64 KiB are four full TLS records; 1,000 stalled readers hold at most 64 MiB.
 */
export const MAX_PENDING_BYTES = 64 * 1024

/**
 * The policy for readers that do not keep up. At most {@link MAX_PENDING_BYTES} wait in a reader's connection. The rest
 * stays in the ring, from which it reads at its own pace without affecting other readers. It is dropped when it exceeds
 * one of these limits, or when the ring no longer contains its next event.
 */
export interface SlowReaderLimits {
  /**
   * The most bytes that can wait, in the connection and in the ring, for a reader that had caught up, when the next event
   * arrives. Infinity: as much as the ring contains.
   */
  readonly maxWaitingBytes: number
  /** How long a reader can go without reading any of the bytes that wait in its connection. Infinity: no limit. */
  readonly maxStalledMs: number
  /**
   * Returns the block for a reader whose next events are no longer in the ring; it then continues with the oldest one.
   * Absent: such a reader is dropped, so that it reconnects elsewhere or with its last ID.
   */
  readonly gap?: (() => EventBlock) | undefined
}

/** Why a reader was dropped: too many bytes wait for it, or it has read nothing for too long. */
export type DropReason = 'slow' | 'stalled'
