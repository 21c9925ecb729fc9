import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type HttpError, toHttpError } from '../errors.ts'
import {
  isTokenRefusal,
  type Logger,
  logFailure,
  type RequestRecord,
  recordOf,
} from '../observation/index.ts'

export const sendJson = (response: ServerResponse, status: number, body: unknown): void =>
  send(response, status, 'application/json; charset=utf-8', JSON.stringify(body))

export const sendText = (response: ServerResponse, status: number, text: string): void =>
  send(response, status, 'text/plain; charset=utf-8', text)

export function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) }).end(text)
}

/** Returns whether a request has a body, according to its framing (RFC 9112 §6). */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/**
 * Returns whether part of a request is unread. Without a body nothing is, although Node sets `complete` a moment later.
 */
export const isUnread = (request: IncomingMessage): boolean => !request.complete && hasBody(request)

/** Converts a thrown error to the one that is sent; records its reason, and logs it if it is a failure. */
export function recordFailure(log: Logger, thrown: unknown, record: RequestRecord | undefined): HttpError {
  const error = toHttpError(thrown)
  // The verifier's reason is more specific than the error code.
  record?.add({ reason: isTokenRefusal(error.cause) ? error.cause.reason : error.code })
  if (error.status >= 500)
    logFailure(log, error, record && { requestId: record.requestId, traceId: record.trace.traceId })
  return error
}

/** Sends the response for any thrown error. An error whose body is a string sets its own content type. */
export function sendError(log: Logger, thrown: unknown, request: IncomingMessage, response: ServerResponse) {
  const record = recordOf(request)
  const error = recordFailure(log, thrown, record)
  if (response.headersSent) {
    response.destroy()
    return
  }
  // Otherwise the rest of the body would be parsed as the next request on this connection.
  if (isUnread(request)) response.setHeader('connection', 'close')
  if (record) response.setHeader('x-request-id', record.requestId)
  response.setHeader('cache-control', 'no-store')
  response.setHeader('x-content-type-options', 'nosniff')
  const { 'content-type': type, ...headers } = error.headers
  for (const [header, value] of Object.entries(headers)) response.setHeader(header, value)
  if (typeof error.body === 'string' && type !== undefined) send(response, error.status, type, error.body)
  else sendJson(response, error.status, error.body)
}

/** Rejects an upgrade for any thrown error. Writes raw bytes: an upgraded socket has no server response. */
export function refuseUpgrade(log: Logger, thrown: unknown, request: IncomingMessage, client: Duplex): void {
  const record = recordOf(request)
  const error = recordFailure(log, thrown, record)
  if (record) record.upgradeStatus = error.status
  const body = JSON.stringify(error.body)
  const headers = {
    ...error.headers,
    ...(record ? { 'x-request-id': record.requestId } : {}),
    'content-type': 'application/json; charset=utf-8',
  }
  // What the client still sends is discarded; while it is unread, the connection cannot close.
  client.resume()
  client.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `${Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n${body}`,
  )
}
