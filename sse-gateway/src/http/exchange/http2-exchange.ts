import type { OutgoingHttpHeaders } from 'node:http'
import {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { Http2Writer, type StreamWriter } from '@hallpass/guarded-stream'
import {
  beginsWithSlash,
  type HttpError,
  malformedTarget,
  namesTwoHosts,
  type RequestRecord,
  twoHosts,
} from '@hallpass/service-kit'
import { type Exchange, idOf, splitTarget } from './exchange.ts'
import { tooLargeHeaders } from './header-list.ts'
import { readBounded } from './read-bounded.ts'

const NO_HEADERS: IncomingHttpHeaders = {}
const NO_QUERY = new URLSearchParams()

/** An exchange over HTTP/2. */
export class Http2Exchange implements Exchange {
  readonly protocol = 'h2'
  readonly method: string
  readonly path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  rawHeaders: readonly string[]
  readonly malformed: HttpError | undefined
  readonly connection: ServerHttp2Session
  readonly remoteAddress: string
  record?: RequestRecord
  status?: number
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) {
    this.#stream = stream
    this.method = headers[':method'] ?? ''
    const { path, query } = splitTarget(headers[':path'] ?? '')
    this.path = path
    this.query = query
    this.headers = headers
    this.rawHeaders = rawHeaders
    this.malformed = refusalOf(headers, rawHeaders)
    this.connection = stream.session as ServerHttp2Session
    this.remoteAddress = stream.session?.socket.remoteAddress ?? ''
    // A client can reset its stream at any time, so this is not a server error; the close event handles it.
    stream.on('error', () => {})
  }

  get host(): string {
    return this.headers[':authority'] ?? this.headers.host ?? ''
  }

  readBody(maxBytes: number): Promise<Buffer> {
    return readBounded(this.#stream, this.headers, maxBytes)
  }

  answer(status: number, headers: OutgoingHttpHeaders, body?: Buffer | string): void {
    const stream = this.#stream
    if (stream.destroyed || stream.headersSent) return
    this.status = status
    stream.respond({ ':status': status, ...headers, ...idOf(this) }, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    // Tells the client to stop sending the rest of an unwanted body (RFC 9113 §8.1).
    if (!stream.endAfterHeaders && !stream.readableEnded)
      stream.writableFinished
        ? stream.close(constants.NGHTTP2_NO_ERROR)
        : stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR))
  }

  openStream(headers: OutgoingHttpHeaders): StreamWriter {
    this.status = 200
    this.#stream.respond({ ':status': 200, ...headers, ...idOf(this) })
    // A stream can stay open for hours; release its request, which contains the token.
    this.headers = NO_HEADERS
    this.rawHeaders = []
    this.query = NO_QUERY
    return new Http2Writer(this.#stream)
  }

  askToLeave(): boolean {
    // For sessions that were still in their handshake when the others got GOAWAY; their first request is answered.
    if (this.connection.closed) return false
    this.connection.close()
    return true
  }

  get closed(): boolean {
    return this.#stream.destroyed || this.#stream.closed
  }

  get complete(): boolean {
    // If the client resets the stream, Node also finishes it.
    return this.#stream.writableFinished && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
  }

  onClose(listener: () => void): void {
    this.#stream.once('close', listener)
  }
}

/**
 * Returns why a request is rejected, for the same reasons as over HTTP/1.1. nghttp2 itself resets the stream of one without
 * any host.
 */
function refusalOf(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): HttpError | undefined {
  const tooLarge = tooLargeHeaders(rawHeaders)
  if (tooLarge) return tooLarge
  if (isAmbiguous(headers, rawHeaders)) return twoHosts()
  return beginsWithSlash(headers[':path'] ?? '') ? undefined : malformedTarget()
}

/** Returns whether `Host` and `:authority` differ, which RFC 9113 §8.3.1 forbids. */
function isAmbiguous(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): boolean {
  const { ':authority': authority, host } = headers
  if (host === undefined) return false
  return (authority !== undefined && authority !== host) || namesTwoHosts(rawHeaders)
}
