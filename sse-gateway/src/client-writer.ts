import type { ServerResponse } from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { EventBlock } from './event-block.ts'

/** Why a stream is cut instead of ended. */
export type AbortCause =
  /** The upstream broke in the middle: the client must not take what it has for everything. */
  | 'upstream_failed'
  /** The client does not read. */
  | 'too_slow'
  /** As the original gateway ended an expired stream, for clients that rely on it. */
  | 'compatibility'

/** The way out to one client. What it has not taken yet is counted, and whoever writes heeds the count. */
export interface ClientWriter {
  /** Bytes that were written and that the client has not taken. */
  readonly pending: number
  /** Called each time that `pending` has come down to nothing after it was more than a little. */
  onDrain: (() => void) | undefined
  write(block: EventBlock): void
  /** Ends the stream cleanly: END_STREAM, or the last chunk. What is not taken within a second is cut. */
  end(): void
  /** Ends the stream at once, so that the client sees that it was cut. */
  abort(cause: AbortCause): void
}

/** A client that reads takes 64 KiB in milliseconds; one that does not must not hold its connection open by it. */
const END_DEADLINE_MS = 1_000

const RESET_CODES: Readonly<Record<AbortCause, number>> = {
  upstream_failed: constants.NGHTTP2_INTERNAL_ERROR,
  too_slow: constants.NGHTTP2_ENHANCE_YOUR_CALM,
  compatibility: constants.NGHTTP2_NO_ERROR,
}

/** Writes to an HTTP/2 stream; the stream API, because the compatibility layer costs a fifth more per event. */
export class Http2Writer implements ClientWriter {
  readonly #stream: ServerHttp2Stream
  onDrain: (() => void) | undefined

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream
    stream.on('drain', () => this.onDrain?.())
  }

  get pending(): number {
    return this.#stream.writableLength
  }

  write(block: EventBlock): void {
    if (!this.#stream.destroyed) this.#stream.write(block.bytes)
  }

  end(): void {
    const stream = this.#stream
    if (stream.destroyed) return
    const deadline = setTimeout(() => stream.close(RESET_CODES.too_slow), END_DEADLINE_MS).unref()
    stream.once('close', () => clearTimeout(deadline))
    stream.end()
  }

  abort(cause: AbortCause): void {
    // `close(0)` would send END_STREAM first; destroying sends RST_STREAM with NO_ERROR alone.
    if (cause === 'compatibility') this.#stream.destroy()
    else this.#stream.close(RESET_CODES[cause])
  }
}

/** Writes to an HTTP/1.1 response: chunks that are framed already go straight to the socket. */
export class Http1Writer implements ClientWriter {
  readonly #response: ServerResponse
  /** HTTP/1.0 knows no chunks; its stream ends with the connection. */
  readonly #chunked: boolean
  onDrain: (() => void) | undefined

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

  end(): void {
    const response = this.#response
    const deadline = setTimeout(() => response.destroy(), END_DEADLINE_MS).unref()
    response.once('close', () => clearTimeout(deadline))
    response.end()
  }

  abort(_cause: AbortCause): void {
    this.#response.destroy()
  }
}
