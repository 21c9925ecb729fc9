import type { EventBlock } from './event-block.ts'

/** The way out to one reader. What it has not taken yet is counted, and the sender heeds the count. */
export interface EventWriter {
  /** Bytes that were written and that the reader has not taken. */
  readonly pending: number
  /** Called each time that `pending` has come down to nothing after it was more than a little. */
  onDrain: (() => void) | undefined
  write(block: EventBlock): void
}
