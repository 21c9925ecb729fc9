import { randomUUID } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import {
  type ForeignPagesGuard,
  HttpError,
  isTokenRefusal,
  type Logger,
  logFailure,
  type Metrics,
  notFound,
  publishHop,
  runInTrace,
  toHttpError,
  traceFrom,
} from '@hallpass/service-kit'
import { type AllowedOrigins, corsHeaders, isPreflight, preflightHeaders } from './cors.ts'
import type { Exchange } from './exchange/exchange.ts'

export type Handler = (exchange: Exchange) => void | Promise<void>

/** Path, exactly as sent, to method to handler. */
export type RouteTable = Readonly<Record<string, Readonly<Record<string, Handler>>>>

export interface DispatchOptions {
  readonly routes: RouteTable
  readonly origins: AllowedOrigins
  /** On a development start, keeps pages out whose own name points to this machine. */
  readonly refuseForeign: ForeignPagesGuard
  readonly log: Logger
  readonly metrics: Metrics
}

/** On every answer that is not a file or a stream. */
const ANSWER_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // The URL may have a token in it, and a page that is linked to is none of its business.
  'referrer-policy': 'no-referrer',
}
const LOGGED_PATH_LENGTH = 256
const SERVICE = 'sse-gateway'

/** Finds the handler of each exchange, turns what it throws into an answer, and logs what became of it. */
export function dispatcher({
  routes,
  origins,
  refuseForeign,
  log,
  metrics,
}: DispatchOptions): (exchange: Exchange) => void {
  const table = new Map(
    Object.entries(routes).map(([path, methods]) => [path, new Map(Object.entries(methods))]),
  )

  async function handle(exchange: Exchange) {
    try {
      const { method, host } = exchange
      // Only the host counts: which pages may read is what ALLOWED_ORIGINS says, and every stream needs a token.
      const refusal = exchange.malformed ?? refuseForeign({ method, host, headers: {} })
      if (refusal) throw refusal
      if (isPreflight(exchange)) return answer(exchange, 204, preflightHeaders(exchange, origins))
      const methods = table.get(exchange.path)
      if (!methods) throw notFound('no_such_path', 'There is nothing at this path.')
      const handler = methods.get(exchange.method)
      if (!handler) {
        if (exchange.method !== 'OPTIONS') throw methodNotAllowed([...methods.keys()])
        return answer(exchange, 204, {
          ...corsHeaders(exchange, origins),
          allow: allowed([...methods.keys()]),
        })
      }
      await handler(exchange)
    } catch (thrown) {
      const error = toHttpError(thrown)
      exchange.reason = isTokenRefusal(error.cause) ? error.cause.reason : error.code
      if (error.status >= 500) logFailure(log, error)
      answerJson(exchange, error.status, error.body, { ...corsHeaders(exchange, origins), ...error.headers })
    }
  }

  return (exchange) => {
    const started = performance.now()
    const startedAt = Date.now()
    const trace = traceFrom(exchange.headers.traceparent as string | undefined, SERVICE)
    const requestId = randomUUID()
    const path = exchange.path.slice(0, LOGGED_PATH_LENGTH)
    const { method, protocol, remoteAddress } = exchange
    exchange.onClose(() => {
      const { status = 0, tokenId, reason } = exchange
      const ms = performance.now() - started
      metrics.observeRequest(method, table.has(path) ? path : 'unmatched', status, ms / 1000)
      log.info(
        {
          method,
          // Never the query: it may hold a token.
          path,
          protocol,
          status,
          ms: Math.round(ms * 10) / 10,
          requestId,
          traceId: trace.traceId,
          remoteAddress,
          ...(tokenId === undefined ? {} : { jti: tokenId }),
          ...(reason === undefined ? {} : { reason }),
        },
        'request',
      )
    })
    // A trace that nobody watches is not carried along: on Node 20 that alone costs every later write a twentieth.
    if (!trace.sampled) return void handle(exchange)
    void runInTrace(trace, () => handle(exchange)).then(() => {
      const { status = 0, reason } = exchange
      const { traceId, spanId, parentId } = trace
      const durationMs = performance.now() - started
      const hop = { traceId, spanId, parentId, service: SERVICE, method, path, status, startedAt, durationMs }
      // Told when the stream begins, not when it ends: somebody is watching now.
      publishHop({ kind: 'request', ...hop, ...(reason === undefined ? {} : { reason }) })
    })
  }
}

export function answer(exchange: Exchange, status: number, headers: OutgoingHttpHeaders = {}): void {
  exchange.answer(status, { ...ANSWER_HEADERS, ...headers })
}

export function answerJson(
  exchange: Exchange,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  const text = JSON.stringify(body)
  exchange.answer(
    status,
    {
      ...ANSWER_HEADERS,
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      ...headers,
    },
    // RFC 9110 §9.3.2: the same headers, and no body.
    exchange.method === 'HEAD' ? undefined : text,
  )
}

/** 405 names what would be allowed (RFC 9110 §15.5.6). */
export const methodNotAllowed = (methods: readonly string[]) =>
  new HttpError(405, 'method_not_allowed', 'This path does not take this method.', {
    headers: { allow: allowed(methods) },
  })

const allowed = (methods: readonly string[]) => [...methods, 'OPTIONS'].join(', ')
