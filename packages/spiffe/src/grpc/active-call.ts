import { once } from 'node:events'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { Deframer, frame } from './framing.ts'
import type { Metadata } from './metadata.ts'
import { encodeStatusMessage, GrpcError, status } from './status.ts'
import { startTimer } from './timeout.ts'

const GRPC_HEADERS = { ':status': 200, 'content-type': 'application/grpc' }
const GOOD_TRAILERS = { 'grpc-status': String(status.ok) }

/** A call on the server: reads its single request, sends its messages, and ends it exactly once. */
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

  /** @param onEnd called once, with the final status */
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
    stream.on('error', () => {}) // A reset also emits 'close', which ends the call.
    stream.once('close', () => this.#abandon())
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Created on first use, because it costs more than the rest of a call. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#endedEarly) this.#abort.abort(this.#endedEarly)
    return this.#abort.signal
  }

  #endEarly(error: GrpcError): void {
    this.#endedEarly = error
    this.#abort?.abort(error)
  }

  /** Ends the call with DeadlineExceeded after this time, unless it has already ended. */
  endIn(milliseconds: number): void {
    this.#stopTimer = startTimer(milliseconds, () =>
      this.end(new GrpcError(status.deadlineExceeded, 'deadline exceeded')),
    )
  }

  /** Reads the request, which must be exactly one message. */
  async readRequest(metadata: Metadata, maxMessageBytes: number): Promise<Buffer> {
    const stream = this.#stream
    const deframer = new Deframer(maxMessageBytes)
    const messages: Buffer[] = []
    // Not `for await`, which would destroy the stream at the end and lose the response.
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
        // Only if the request is incomplete: creating an error costs more than the rest of a call.
        if (!read) reject(new GrpcError(status.cancelled, 'the caller has disconnected'))
      })
    })
    const [request] = messages
    if (messages.length !== 1 || request === undefined || deframer.pending)
      throw new GrpcError(status.internal, `expected one request message, received ${messages.length}`)
    return request
  }

  async send(message: Buffer): Promise<void> {
    const stream = this.#stream
    if (stream.destroyed) return
    if (!stream.headersSent) stream.respond(GRPC_HEADERS, { waitForTrailers: true })
    // Backpressure: a slow reader delays only its own stream.
    if (!stream.write(frame(message))) await once(stream, 'drain', { signal: this.signal }).catch(() => {})
  }

  /** Sends the response of a unary call and ends it with OK. */
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

  /** Ends the call: with trailers if messages were sent, otherwise with only headers ("Trailers-Only"). */
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
        // Without this, the connection would wait for the rest of an unread request.
        if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
      }
    }
    // After OK there is no work to abort, and creating an abort error would cost more than the response.
    if (error) this.#endEarly(error)
    this.#finish(error?.code ?? status.ok)
  }

  #abandon(): void {
    if (this.#ended) return
    this.#ended = true
    this.#endEarly(new GrpcError(status.cancelled, 'the caller has disconnected'))
    this.#finish(status.cancelled)
  }
}
