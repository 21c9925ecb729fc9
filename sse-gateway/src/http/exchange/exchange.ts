import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { HttpError, RequestRecord } from '@hallpass/service-kit'
import type { ClientWriter } from './client-writer.ts'

/** One request and the ways to answer it, the same over HTTP/2 and HTTP/1.1. */
export interface Exchange {
  readonly protocol: 'h2' | 'http/1.1'
  readonly method: string
  /** As it was sent, without the query: nothing is decoded or normalised, so nothing can be smuggled past a route. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, each field as it came, also those that `headers` joins or drops. */
  readonly rawHeaders: readonly string[]
  readonly host: string
  /** Why it is not clear whom the request is for: it names two hosts, or its target is none. */
  readonly malformed: HttpError | undefined
  readonly hasBody: boolean
  /** The same object for all requests of one connection. */
  readonly connection: object
  readonly remoteAddress: string
  /** Set before a handler sees the exchange; every answer has its id. */
  record?: RequestRecord
  /** What was answered, once it was. */
  readonly status?: number
  /** @throws {HttpError} 413, 400 */
  readBody(maxBytes: number): Promise<Buffer>
  answer(status: number, headers: OutgoingHttpHeaders, body?: Buffer | string): void
  /** From then on the request's headers and query may be gone. */
  openStream(headers: OutgoingHttpHeaders): ClientWriter
  /**
   * Says that the connection must not be used again: in the answer, or over HTTP/2 by GOAWAY. Returns whether it could,
   * or false when it has been said.
   */
  askToLeave(): boolean
  /** Whether the client is gone, or the answer is complete. */
  readonly closed: boolean
  /** Whether the whole answer was sent. */
  readonly complete: boolean
  onClose(listener: () => void): void
}

/** Handles one exchange; what it throws, or rejects with, becomes the answer. */
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
