import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  HttpError,
  isUnread,
  type Logger,
  logFailure,
  type Metrics,
  nextHop,
  publishHop,
  sendJson,
  type TraceContext,
  traceFrom,
} from '@hallpass/service-kit'
import type { Outcome } from './forward.ts'

const REQUEST_ID = /^[\w.-]{1,64}$/

export interface HopService {
  readonly name: string
  readonly log: Logger
  readonly metrics: Metrics
}

/**
 * One request on its way through a proxy: its id and trace, and the line that the access log has about it in the end,
 * with what an operator of nginx expects: `ua`, `us`, `ut`, `ul` (upstream address, status, time, length), `cs` (cache status).
 */
export class Hop {
  readonly requestId: string
  readonly trace: TraceContext
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly #service: HopService
  readonly #started = performance.now()
  readonly #startedAt = Date.now()
  #call: TraceContext | undefined

  constructor(service: HopService, request: IncomingMessage, response: ServerResponse) {
    this.#service = service
    this.request = request
    this.response = response
    const given = request.headers['x-request-id']
    this.requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
    this.trace = traceFrom(request.headers.traceparent as string | undefined, service.name)
  }

  /** The id and trace for the next hop: name, value, name, value. */
  fields(): string[] {
    const { trace, traceparent } = nextHop(this.trace)
    this.#call = trace
    return ['x-request-id', this.requestId, 'traceparent', traceparent]
  }

  /** Answers with an error of this hop's own. */
  fail(error: HttpError, body?: { readonly type: string; readonly text: string }): void {
    const { response } = this
    if (response.headersSent || response.destroyed) return void response.destroy()
    if (error.status >= 500) logFailure(this.#service.log, error, { requestId: this.requestId })
    response.setHeader('x-request-id', this.requestId)
    response.setHeader('cache-control', 'no-store')
    response.setHeader('x-content-type-options', 'nosniff')
    // A body that was not read to its end would be taken for the next request on this connection.
    if (isUnread(this.request)) response.setHeader('connection', 'close')
    for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value)
    if (body)
      response
        .writeHead(error.status, {
          'content-type': body.type,
          'content-length': Buffer.byteLength(body.text),
        })
        .end(body.text)
    else sendJson(response, error.status, error.body)
  }

  /** Tells whoever watches of the request, and of the call that passed it on. */
  #tell(
    request: {
      readonly method: string
      readonly path: string
      readonly status: number
      readonly durationMs: number
    },
    reason: unknown,
    outcome: Outcome | undefined,
  ): void {
    const { traceId, spanId, parentId } = this.trace
    const common = { traceId, service: this.#service.name, ...request }
    if (this.#call && outcome)
      publishHop({
        ...common,
        kind: 'call',
        spanId: this.#call.spanId,
        parentId: spanId,
        peer: outcome.upstreams,
        // A moment after the request, which it is a part of.
        startedAt: this.#startedAt + (request.durationMs - outcome.upstreamMs),
        durationMs: outcome.upstreamMs,
      })
    publishHop({
      ...common,
      kind: 'request',
      spanId,
      parentId,
      startedAt: this.#startedAt,
      ...(typeof reason === 'string' ? { reason } : {}),
    })
  }

  /** Writes the line. */
  end(outcome?: Outcome, also: Readonly<Record<string, unknown>> = {}): void {
    const { request, response, trace } = this
    const ms = performance.now() - this.#started
    const status = response.statusCode
    // The query may carry a credential; the path never does.
    const path = request.url?.split('?', 1)[0]?.slice(0, 256) ?? ''
    const method = request.method ?? ''
    this.#service.metrics.observeRequest(method, 'forwarded', status, ms / 1000)
    if (trace.sampled) this.#tell({ method, path, status, durationMs: ms }, also.reason, outcome)
    const { log } = this.#service
    if (!log.isLevelEnabled('info')) return
    log.info(
      {
        client: request.socket.remoteAddress,
        method,
        path,
        status,
        ms: rounded(ms),
        agent: request.headers['user-agent']?.slice(0, 128),
        ...(outcome
          ? {
              ua: outcome.upstreams,
              us: outcome.upstreamStatus,
              ut: rounded(outcome.upstreamMs),
              ul: outcome.bytes,
            }
          : {}),
        ...also,
        requestId: this.requestId,
        traceId: trace.traceId,
        ...(outcome && !outcome.failure && !response.writableEnded ? { aborted: true } : {}),
      },
      'request',
    )
  }
}

const rounded = (ms: number) => Math.round(ms * 10) / 10

/** TRACE would send the token that a proxy adds back to the caller (RFC 9110 §9.3.8). */
export function refuseTrace(request: IncomingMessage): HttpError | undefined {
  if (request.method !== 'TRACE') return undefined
  return new HttpError(405, 'method_not_allowed', 'TRACE is not passed on.', {
    headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
  })
}
