import type {
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  RequestListener,
  ServerResponse,
} from 'node:http'
import https from 'node:https'
import { pipeline } from 'node:stream'
import {
  beginCall,
  callBudget,
  currentTrace,
  DEADLINE_HEADER,
  deadlinePassed,
  type HttpError,
  type Logger,
  PeerError,
  sendJson,
} from '@hallpass/service-kit'
import { socketHost } from '@hallpass/untrusted/address'
import { cappedMs } from '@hallpass/untrusted/timers'

export interface ReverseProxyOptions {
  readonly target: URL
  /** Connects to the server, and to nobody else. */
  readonly agent: https.Agent
  readonly log: Logger
}

const SERVER = 'spiffe-server'
/** A server that says nothing for so long has failed. */
const SERVER_TIMEOUT_MS = 30_000

/** RFC 9110 §7.6.1: these are about one connection and must not be passed on; of the deadline each hop takes its part. */
const HOP_BY_HOP = [
  DEADLINE_HEADER,
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

/**
 * Passes every request on as it is, the `Authorization` header above all; 502 without a body when the server fails, as
 * the original does, and 504 when it does not answer in time.
 */
export function reverseProxy({ target, agent, log }: ReverseProxyOptions): RequestListener {
  return (request, response) => {
    log.info(`${request.method} ${request.url}`)
    const { method = '', url = '' } = request
    const { traceparent, tell } = beginCall({
      peer: SERVER,
      method,
      path: url.split('?', 1)[0] ?? '',
      authorization: request.headers.authorization,
    })
    const budgetMs = callBudget(currentTrace()?.deadline, SERVER_TIMEOUT_MS)
    if (budgetMs === 0) return refuse(response, deadlinePassed(SERVER))
    const upstream = https.request({
      agent,
      host: socketHost(target),
      port: target.port,
      method: request.method,
      path: request.url,
      headers: { ...forwarded(request), traceparent, [DEADLINE_HEADER]: budgetMs },
      setHost: false,
    })
    const fail = (error: Error) => {
      upstream.destroy()
      tell({ reason: error instanceof PeerError ? error.code : 'peer_unreachable' })
      log.warn(`http: proxy error: ${error.message}`)
      if (response.headersSent) response.destroy()
      else if (error instanceof PeerError) refuse(response, error)
      else response.writeHead(502, { 'content-length': 0 }).end()
    }
    // Not the socket's own timeout, which would begin anew with each byte that is sent.
    const late = setTimeout(() => upstream.destroy(tooLate(target.origin, budgetMs)), cappedMs(budgetMs))
    upstream.on('error', (error) => {
      if (!response.destroyed) fail(error)
    })
    upstream.on('response', (answer) => {
      clearTimeout(late)
      tell({ status: answer.statusCode ?? 502 })
      sendBack(answer, response)
    })
    // A client that leaves takes its request with it.
    response.once('close', () => {
      clearTimeout(late)
      upstream.destroy()
    })
    pipeline(request, upstream, () => {})
  }
}

const tooLate = (origin: string, budgetMs: number) =>
  new PeerError(SERVER, 504, 'peer_timeout', `${SERVER} at ${origin} did not answer within ${budgetMs} ms.`)

const refuse = (response: ServerResponse, { status, body }: HttpError) => sendJson(response, status, body)

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
