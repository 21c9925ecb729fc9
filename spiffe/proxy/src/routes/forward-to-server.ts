import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { forwardRecorded, requestHeaders, type Upstream } from '@hallpass/reverse-proxy'
import {
  type HttpError,
  isUnread,
  type Logger,
  logAlso,
  type RequestRecord,
  recordOf,
  sendJson,
} from '@hallpass/service-kit'

export interface ForwardToServerOptions {
  /** Connects to the server only. */
  readonly upstream: Upstream
  readonly log: Logger
}

/** Headers that this hop replaces. */
const REWRITTEN = new Set(['x-forwarded-for', 'x-request-id', 'traceparent'])
/** RFC 9110 §7.6.3: shows callers whether a response comes from the server or from the proxy. */
const VIA = ['via', '1.1 spiffe-proxy']

/**
 * Forwards every request unchanged, including `Host` and `Authorization`. Answers 502 without a body if the server fails, like
 * go-spiffe's example. Other failures have a body: 504 if it does not answer in time, 400 if the request is not valid.
 */
export function forwardToServer({ upstream, log }: ForwardToServerOptions): RequestListener {
  return (request, response) => {
    log.info(`${request.method} ${request.url}`)
    // Not `recordForwarding`: this proxy adds no token that the response to a TRACE could reveal.
    const record = recordOf(request) as RequestRecord
    record.route = 'forwarded'
    forwardRecorded(request, response, record, {
      log,
      upstream,
      headers: headersOf(request),
      answerFields: VIA,
      shown: { peer: upstream.name, authorization: request.headers.authorization },
      onFailure: (error) => refuse(request, response, error),
      onEnd: ({ failure }) => {
        if (failure) log.warn(`http: proxy error: ${causeOf(failure)}`)
      },
    })
  }
}

function headersOf(request: IncomingMessage): string[] {
  const { host, 'x-forwarded-for': before } = request.headers
  const client = request.socket.remoteAddress?.replace(/^::ffff:/, '')
  return [
    ...requestHeaders(request, REWRITTEN),
    ...(host === undefined ? [] : ['host', host]),
    'x-forwarded-for',
    [before, client].filter(Boolean).join(', '),
  ]
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, code, body }: HttpError) {
  logAlso(request, { reason: code })
  // The rest of an unread body would be parsed as the next request on this connection.
  if (isUnread(request)) response.setHeader('connection', 'close')
  if (status === 502) response.writeHead(502, { 'content-length': 0 }).end()
  else sendJson(response, status, body)
}

const causeOf = ({ message, cause }: HttpError) => (cause instanceof Error && cause.message) || message
