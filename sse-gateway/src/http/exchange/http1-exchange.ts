import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Http1Writer } from '@hallpass/event-stream/fan-out'
import type { StreamWriter } from '@hallpass/guarded-stream'
import { type HttpError, isUnread, type RequestRecord, settleTarget } from '@hallpass/service-kit'
import { type Exchange, idOf, splitTarget } from './exchange.ts'
import { readBounded } from './read-bounded.ts'

/** An exchange over HTTP/1.1 or 1.0. */
export class Http1Exchange implements Exchange {
  readonly protocol = 'http/1.1'
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly malformed: HttpError | undefined
  readonly connection: Socket
  readonly remoteAddress: string
  record?: RequestRecord
  status?: number
  readonly #request: IncomingMessage
  readonly #response: ServerResponse

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request
    this.#response = response
    this.malformed = settleTarget(request)
    this.method = request.method ?? ''
    const { path, query } = splitTarget(request.url ?? '')
    this.path = path
    this.query = query
    this.headers = request.headers
    this.rawHeaders = request.rawHeaders
    this.connection = request.socket
    this.remoteAddress = request.socket.remoteAddress ?? ''
    response.on('error', () => {})
  }

  get host(): string {
    return this.headers.host ?? ''
  }

  readBody(maxBytes: number): Promise<Buffer> {
    return readBounded(this.#request, this.headers, maxBytes)
  }

  answer(status: number, headers: OutgoingHttpHeaders, body?: Buffer | string): void {
    const response = this.#response
    if (response.headersSent) return
    this.status = status
    // An unread body would be parsed as the next request on this connection.
    const rest = isUnread(this.#request) ? { connection: 'close' } : {}
    response.writeHead(status, { ...headers, ...rest, ...idOf(this) }).end(body)
  }

  openStream(headers: OutgoingHttpHeaders): StreamWriter {
    this.status = 200
    this.#response.writeHead(200, { ...headers, ...idOf(this) })
    return new Http1Writer(this.#response)
  }

  askToLeave(): boolean {
    if (this.#response.headersSent) return false
    this.#response.setHeader('connection', 'close')
    return true
  }

  get closed(): boolean {
    return this.#response.closed || this.#response.destroyed || this.#request.socket.destroyed
  }

  get complete(): boolean {
    return this.#response.writableFinished
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener)
  }
}
