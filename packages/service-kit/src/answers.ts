import type { IncomingMessage, ServerResponse } from 'node:http'
import { toHttpError } from './errors.ts'
import type { Logger } from './log.ts'
import { logAlso } from './observe-requests.ts'
import { currentTrace } from './trace.ts'
import { isTokenRefusal } from './verification.ts'

export function sendJson(response: ServerResponse, status: number, body: unknown) {
  const text = JSON.stringify(body)
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    })
    .end(text)
}

export function sendText(response: ServerResponse, status: number, text: string) {
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    })
    .end(text)
}

/** The one place where a thrown error becomes an answer. */
export function sendError(log: Logger, thrown: unknown, request: IncomingMessage, response: ServerResponse) {
  const error = toHttpError(thrown)
  // The verifier's own reason says more than that the token is invalid.
  logAlso(request, { reason: isTokenRefusal(error.cause) ? error.cause.reason : error.code })
  if (error.status >= 500)
    log.error(
      { err: error.cause ?? error, code: error.code, traceId: currentTrace()?.traceId },
      error.message,
    )
  if (response.headersSent) {
    response.destroy()
    return
  }
  // A body that was not read to its end would be taken for the next request on this connection.
  if (!request.complete) response.setHeader('connection', 'close')
  for (const [header, value] of Object.entries(error.headers)) response.setHeader(header, value)
  response.setHeader('cache-control', 'no-store')
  sendJson(response, error.status, error.body)
}
