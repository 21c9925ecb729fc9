import type { ServerResponse } from 'node:http'
import type { EventBlock } from './event-block.ts'
import type { EventWriter } from './event-writer.ts'

/** A client that reads needs milliseconds for 64 KiB; one that does not must not keep its connection open. */
export const END_DEADLINE_MS = 1_000

const NOTHING = Buffer.alloc(0)

/** Writes to an HTTP/1.1 response. Blocks are already framed as chunks, so they go directly to the socket. */
export class Http1Writer implements EventWriter {
  readonly #response: ServerResponse
  /** HTTP/1.0 has no chunked coding; its stream ends when the connection closes. */
  readonly #chunked: boolean
  onDrain: (() => void) | undefined

  /** @param response a response whose headers are written; they are sent now. */
  constructor(response: ServerResponse) {
    this.#response = response
    this.#chunked = response.req.httpVersionMinor > 0
    // Not flushHeaders, which writes them as UTF-8: header values have one character per byte (toHeaderValue).
    response.write(NOTHING)
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
    // A pipelined request gets the socket only once the previous request is answered; until then the response buffers.
    if (socket) socket.write(this.#chunked ? block.chunk : block.bytes)
    else if (!this.#response.writableEnded) this.#response.write(block.bytes)
  }

  /** Ends the stream with the last chunk, and closes the connection after {@link END_DEADLINE_MS} if the client does not read. */
  end(): void {
    const response = this.#response
    const deadline = setTimeout(() => response.destroy(), END_DEADLINE_MS).unref()
    response.once('close', () => clearTimeout(deadline))
    response.end()
  }

  /** Closes the connection without the last chunk, so that the client detects an incomplete stream. */
  abort(): void {
    this.#response.destroy()
  }
}
