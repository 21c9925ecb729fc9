import { EventBlock } from './event-block.ts'

/** Batches larger than this are delivered before the turn ends. */
const MAX_BYTES = 256 * 1024

/** Receives the events added since the last call, as one block. */
export type OnBlock = (
  block: EventBlock,
  events: number,
  /** Whether this is the first block of the turn: readers have had time to read the blocks of earlier turns. */
  firstOfTurn: boolean,
) => void

/** Batches the encoded events of one event-loop turn, so that each reader gets them in one write. */
export class EventBatch {
  readonly #onBlock: OnBlock
  #events: Buffer[] = []
  #bytes = 0
  #endOfTurn: NodeJS.Immediate | undefined
  #delivered = false

  constructor(onBlock: OnBlock) {
    this.#onBlock = onBlock
  }

  get isEmpty(): boolean {
    return this.#events.length === 0
  }

  add(bytes: Buffer): void {
    this.#events.push(bytes)
    this.#bytes += bytes.length
    this.#endOfTurn ??= setImmediate(() => {
      this.#endOfTurn = undefined
      this.flush()
      this.#delivered = false
    })
    if (this.#bytes > MAX_BYTES) this.flush()
  }

  flush(): void {
    const events = this.#events
    if (events.length === 0) return
    this.#events = []
    this.#bytes = 0
    const firstOfTurn = !this.#delivered
    this.#delivered = true
    const block = new EventBlock(events.length === 1 ? (events[0] as Buffer) : Buffer.concat(events))
    this.#onBlock(block, events.length, firstOfTurn)
  }
}
