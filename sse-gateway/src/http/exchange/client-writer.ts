import { constants, type ServerHttp2Stream } from 'node:http2'
import { END_DEADLINE_MS, type EventBlock, type EventWriter } from '@hallpass/event-stream/fan-out'

/** Why a stream is cut instead of ended. */
export type AbortCause =
  /** The upstream broke in the middle: the client must not take what it has for everything. */
  | 'upstream_failed'
  /** The client does not read. */
  | 'too_slow'
  /** As the original gateway ended an expired stream, for clients that rely on it. */
  | 'compatibility'

/** The way out to one client, over HTTP/1.1 or HTTP/2. */
export interface ClientWriter extends EventWriter {
  /** Ends the stream cleanly: END_STREAM, or the last chunk. What is not taken within a second is cut. */
  end(): void
  /** Ends the stream at once, so that the client sees that it was cut. */
  abort(cause: AbortCause): void
}

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
