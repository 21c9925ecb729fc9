import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { StreamWriter } from '@hallpass/guarded-stream'
import type { HttpError, RequestRecord } from '@hallpass/service-kit'

/** One request and its response, with the same interface over HTTP/2 and HTTP/1.1. */
export interface Exchange {
  readonly protocol: 'h2' | 'http/1.1'
  readonly method: string
  /** The path as it was sent, without the query. It is neither decoded nor normalized, so it cannot bypass a route. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Alternating names and values of all fields as they arrived, including those that `headers` joins or drops. */
  readonly rawHeaders: readonly string[]
  readonly host: string
  /** Set if the request's target is ambiguous (no host or two) or invalid, or its headers are too large. */
  readonly malformed: HttpError | undefined
  /** The same object for all requests of one connection. */
  readonly connection: object
  readonly remoteAddress: string
  /** Set before a handler is called; every response has its ID. */
  record?: RequestRecord
  /** The response status, once it is sent. */
  readonly status?: number
  /**
   * Reads the body of a request that may have one, or with `maxBytes` 0 makes sure that it is empty: over either protocol, an
   * empty body can end later than its headers.
   * @throws {HttpError} 413, 408, 400
   */
  readBody(maxBytes: number): Promise<Buffer>
  answer(status: number, headers: OutgoingHttpHeaders, body?: Buffer | string): void
  /** Opens a stream. Afterwards, the request's headers and query may be empty. */
  openStream(headers: OutgoingHttpHeaders): StreamWriter
  /**
   * Asks the client not to reuse the connection: in the response, or over HTTP/2 by GOAWAY. Returns false if that is no
   * longer possible or has already been done.
   */
  askToLeave(): boolean
  /** Whether the client has disconnected or the response is complete. */
  readonly closed: boolean
  /** Whether the whole response was sent. */
  readonly complete: boolean
  onClose(listener: () => void): void
}

/** Handles one exchange. What it throws or rejects with becomes the response. */
export type ExchangeHandler = (exchange: Exchange) => void | Promise<void>

/** Splits `/events?access_token=…` at the first question mark. */
export function splitTarget(target: string): { path: string; query: URLSearchParams } {
  const mark = target.indexOf('?')
  return mark === -1
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) }
}

export const idOf = ({ record }: Exchange): OutgoingHttpHeaders =>
  record === undefined ? {} : { 'x-request-id': record.requestId }
