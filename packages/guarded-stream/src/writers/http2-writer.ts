import { constants, type ServerHttp2Stream } from 'node:http2'
import { END_DEADLINE_MS, type EventBlock } from '@hallpass/event-stream/fan-out'
import type { AbortCause, StreamWriter } from './stream-writer.ts'

const RESET_CODES: Readonly<Record<AbortCause, number>> = {
  incomplete: constants.NGHTTP2_INTERNAL_ERROR,
  too_slow: constants.NGHTTP2_ENHANCE_YOUR_CALM,
  compatibility: constants.NGHTTP2_NO_ERROR,
}

/** Writes to an HTTP/2 stream. It uses the stream API because the compatibility layer costs 20% more per event. */
export class Http2Writer implements StreamWriter {
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
    this.#resetAfterDeadline(RESET_CODES.too_slow)
    stream.end()
  }

  abort(cause: AbortCause): void {
    const stream = this.#stream
    if (stream.destroyed) return
    // `close(0)` would send END_STREAM first; destroying sends only RST_STREAM with NO_ERROR.
    if (cause === 'compatibility') {
      stream.destroy()
      return
    }
    // `close` ends the writable side before it resets the stream: the client would get END_STREAM, and miss nothing.
    stream._final = (done) => done()
    if (cause === 'incomplete') {
      // A reset discards what is not sent yet, and the last event has the reason.
      this.#resetAfterDeadline(RESET_CODES[cause])
      stream.write('', () => stream.close(RESET_CODES[cause]))
    } else stream.close(RESET_CODES[cause])
  }

  /** For clients that do not read. */
  #resetAfterDeadline(code: number) {
    const stream = this.#stream
    const deadline = setTimeout(() => stream.close(code), END_DEADLINE_MS).unref()
    stream.once('close', () => clearTimeout(deadline))
  }
}
