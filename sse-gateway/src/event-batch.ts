import { EventBlock } from './event-block.ts'

/** More than this does not wait for the end of the turn. */
const MAX_BYTES = 256 * 1024

/** Gathers the encoded events of one turn of the event loop, so that each client gets them in one write. */
export class EventBatch {
  readonly #onFull: (block: EventBlock, count: number) => void
  #events: Buffer[] = []
  #bytes = 0
  #flushing: NodeJS.Immediate | undefined

  /** @param onFull takes the block with the events that have come, and their number. */
  constructor(onFull: (block: EventBlock, count: number) => void) {
    this.#onFull = onFull
  }

  add(bytes: Buffer): void {
    this.#events.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes > MAX_BYTES) this.flush()
    else this.#flushing ??= setImmediate(() => this.flush())
  }

  flush(): void {
    const events = this.#events
    this.clear()
    if (events.length === 0) return
    this.#onFull(
      new EventBlock(events.length === 1 ? (events[0] as Buffer) : Buffer.concat(events)),
      events.length,
    )
  }

  clear(): void {
    clearImmediate(this.#flushing)
    this.#flushing = undefined
    this.#events = []
    this.#bytes = 0
  }
}
