import type { ServerResponse } from 'node:http'
import type { EventBlock } from './event-block.ts'
import type { EventWriter } from './event-writer.ts'

/** A client that reads takes 64 KiB in milliseconds; one that does not must not hold its connection open by it. */
export const END_DEADLINE_MS = 1_000

/** Writes to an HTTP/1.1 response: chunks that are framed already go straight to the socket. */
export class Http1Writer implements EventWriter {
  readonly #response: ServerResponse
  /** HTTP/1.0 knows no chunks; its stream ends with the connection. */
  readonly #chunked: boolean
  onDrain: (() => void) | undefined

  /** @param response whose head is written; it is sent now. */
  constructor(response: ServerResponse) {
    this.#response = response
    this.#chunked = response.req.httpVersionMinor > 0
    response.flushHeaders()
    response.on('drain', () => this.onDrain?.())
    const drained = () => this.onDrain?.()
    response.socket?.on('drain', drained)
    response.once('close', () => response.req.socket.off('drain', drained))
  }

  get pending(): number {
    return this.#response.socket?.writableLength ?? this.#response.writableLength
  }

  write(block: EventBlock): void {
    const { socket } = this.#response
    // A pipelined request gets the socket when the one before it is answered; until then the response keeps the bytes.
    if (socket) socket.write(this.#chunked ? block.chunk : block.bytes)
    else if (!this.#response.writableEnded) this.#response.write(block.bytes)
  }

  /** Ends the stream with the last chunk. What is not taken within {@link END_DEADLINE_MS} is cut. */
  end(): void {
    const response = this.#response
    const deadline = setTimeout(() => response.destroy(), END_DEADLINE_MS).unref()
    response.once('close', () => clearTimeout(deadline))
    response.end()
  }

  /** Cuts the connection, so that the client sees that the stream is not complete. */
  abort(): void {
    this.#response.destroy()
  }
}
