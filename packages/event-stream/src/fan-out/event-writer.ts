import type { EventBlock } from './event-block.ts'

/** Writes events to one reader, and counts the bytes that the reader has not read yet. */
export interface EventWriter {
  /** The number of bytes that were written and not read yet. */
  readonly pending: number
  /** Called each time the transport reports that its buffer has drained and `pending` is 0 again. */
  onDrain: (() => void) | undefined
  write(block: EventBlock): void
}
