import { once } from 'node:events'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { Deframer, frame } from './framing.ts'
import type { Metadata } from './metadata.ts'
import { encodeStatusMessage, GrpcError, status } from './status.ts'
import { startTimer } from './timeout.ts'

const GRPC_HEADERS = { ':status': 200, 'content-type': 'application/grpc' }
const GOOD_TRAILERS = { 'grpc-status': String(status.ok) }

/** A call that a server is answering: its one request, its messages, and its one end, however that comes about. */
export class ActiveCall {
  readonly kind: 'unary' | 'stream'
  /** Settles when the call has ended. */
  readonly done: Promise<void>
  readonly #stream: ServerHttp2Stream
  #abort: AbortController | undefined
  readonly #finish: (code: number) => void
  #stopTimer = () => {}
  #ended = false
  #endedEarly: GrpcError | undefined

  /** @param onEnd called once, with the status that the call ended with */
  constructor(stream: ServerHttp2Stream, kind: ActiveCall['kind'], onEnd: (code: number) => void) {
    this.#stream = stream
    this.kind = kind
    let settle = () => {}
    this.done = new Promise((resolve) => {
      settle = resolve
    })
    this.#finish = (code) => {
      this.#stopTimer()
      onEnd(code)
      settle()
    }
    stream.on('error', () => {}) // A reset is an end like any other; 'close' follows.
    stream.once('close', () => this.#abandon())
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Made when it is asked for: it costs more than the rest of a call that nobody ends early. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#endedEarly) this.#abort.abort(this.#endedEarly)
    return this.#abort.signal
  }

  #endEarly(error: GrpcError): void {
    this.#endedEarly = error
    this.#abort?.abort(error)
  }

  /** Ends with DeadlineExceeded if nothing else has ended it by then. */
  endIn(milliseconds: number): void {
    this.#stopTimer = startTimer(milliseconds, () =>
      this.end(new GrpcError(status.deadlineExceeded, 'deadline exceeded')),
    )
  }

  /** The request, which is one message and not more. */
  async readRequest(metadata: Metadata, maxMessageBytes: number): Promise<Buffer> {
    const stream = this.#stream
    const deframer = new Deframer(maxMessageBytes)
    const messages: Buffer[] = []
    // Not `for await`: it would destroy the stream at the end, and the answer with it.
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (chunk: Buffer) => {
        try {
          messages.push(...deframer.push(chunk, metadata.get('grpc-encoding')))
        } catch (error) {
          stream.removeAllListeners('data')
          stream.resume()
          reject(error)
        }
      })
      let read = false
      stream.once('end', () => {
        read = true
        resolve()
      })
      stream.once('close', () => {
        // Not for a call that is over as it should be: an error costs more than the rest of it.
        if (!read) reject(new GrpcError(status.cancelled, 'the caller has gone'))
      })
    })
    const [request] = messages
    if (messages.length !== 1 || request === undefined || deframer.pending)
      throw new GrpcError(status.internal, `one request message is expected, ${messages.length} came`)
    return request
  }

  async send(message: Buffer): Promise<void> {
    const stream = this.#stream
    if (stream.destroyed) return
    if (!stream.headersSent) stream.respond(GRPC_HEADERS, { waitForTrailers: true })
    // A reader that is slow holds back its own stream and nobody else's.
    if (!stream.write(frame(message))) await once(stream, 'drain', { signal: this.signal }).catch(() => {})
  }

  /** The one message of a unary call, and its good end with it. */
  answer(message: Buffer): void {
    const stream = this.#stream
    if (this.#ended) return
    this.#ended = true
    if (!stream.destroyed && !stream.closed) {
      stream.respond(GRPC_HEADERS, { waitForTrailers: true })
      stream.once('wantTrailers', () => stream.sendTrailers(GOOD_TRAILERS))
      stream.end(frame(message))
    }
    this.#finish(status.ok)
  }

  /** Ends: with trailers if messages were sent, and with headers alone ("Trailers-Only") if none were. */
  end(error?: GrpcError): void {
    if (this.#ended) return
    this.#ended = true
    const stream = this.#stream
    if (!stream.destroyed && !stream.closed) {
      const trailers = {
        'grpc-status': String(error?.code ?? status.ok),
        ...(error && { 'grpc-message': encodeStatusMessage(error.details) }),
      }
      if (stream.headersSent) {
        stream.once('wantTrailers', () => stream.sendTrailers(trailers))
        stream.end()
      } else {
        stream.respond({ ...GRPC_HEADERS, ...trailers }, { endStream: true })
        // The rest of a request that nobody wants to read is told so, or the connection would wait for it.
        if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
      }
    }
    // Who has answered has nothing left to stop; the error that abort makes up would cost more than the answer.
    if (error) this.#endEarly(error)
    this.#finish(error?.code ?? status.ok)
  }

  #abandon(): void {
    if (this.#ended) return
    this.#ended = true
    this.#endEarly(new GrpcError(status.cancelled, 'the caller has gone'))
    this.#finish(status.cancelled)
  }
}
