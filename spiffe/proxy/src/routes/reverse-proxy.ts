import type {
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  RequestListener,
  ServerResponse,
} from 'node:http'
import https from 'node:https'
import { pipeline } from 'node:stream'
import { beginCall, type Logger } from '@hallpass/service-kit'
import { socketHost } from '@hallpass/untrusted/address'

export interface ReverseProxyOptions {
  readonly target: URL
  /** Connects to the server, and to nobody else. */
  readonly agent: https.Agent
  readonly log: Logger
}

/** A server that says nothing for so long has failed. */
const SERVER_TIMEOUT_MS = 30_000

/** RFC 9110 §7.6.1: these are about one connection and must not be passed on. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** Passes every request on as it is, the `Authorization` header above all; 502 without a body when the server fails. */
export function reverseProxy({ target, agent, log }: ReverseProxyOptions): RequestListener {
  return (request, response) => {
    log.info(`${request.method} ${request.url}`)
    const { method = '', url = '' } = request
    const { traceparent, tell } = beginCall({
      peer: 'spiffe-server',
      method,
      path: url.split('?', 1)[0] ?? '',
      authorization: request.headers.authorization,
    })
    const upstream = https.request({
      agent,
      host: socketHost(target),
      port: target.port,
      method: request.method,
      path: request.url,
      headers: { ...forwarded(request), traceparent },
      setHost: false,
      timeout: SERVER_TIMEOUT_MS,
    })
    const fail = (error: Error) => {
      upstream.destroy()
      tell({ reason: 'peer_unreachable' })
      log.error({ err: error }, `http: proxy error: ${error.message}`)
      if (response.headersSent) response.destroy()
      else response.writeHead(502, { 'content-length': 0 }).end()
    }
    upstream.on('timeout', () => upstream.destroy(new Error(`no answer from ${target.origin} within 30 s`)))
    upstream.on('error', (error) => {
      if (!response.destroyed) fail(error)
    })
    upstream.on('response', (answer) => {
      tell({ status: answer.statusCode ?? 502 })
      sendBack(answer, response)
    })
    // A client that leaves takes its request with it.
    response.once('close', () => upstream.destroy())
    pipeline(request, upstream, () => {})
  }
}

function sendBack(answer: IncomingMessage, response: ServerResponse) {
  response.writeHead(answer.statusCode ?? 502, {
    ...endToEnd(answer.headers),
    via: [answer.headers.via, '1.1 spiffe-proxy'].filter(Boolean).join(', '),
  })
  pipeline(answer, response, () => {})
}

function forwarded(request: IncomingMessage): OutgoingHttpHeaders {
  const { headers, socket } = request
  const headersOn = endToEnd(headers)
  // A body without a length must keep its framing, or its bytes would be taken for the next request.
  if (headers['transfer-encoding'] !== undefined) {
    delete headersOn['content-length']
    headersOn['transfer-encoding'] = 'chunked'
  }
  const before = headers['x-forwarded-for']
  headersOn['x-forwarded-for'] = [before, socket.remoteAddress?.replace(/^::ffff:/, '')]
    .filter(Boolean)
    .join(', ')
  return headersOn
}

function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  const dropped = new Set([...HOP_BY_HOP, ...named])
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !dropped.has(name)))
}
