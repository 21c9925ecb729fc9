import { randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { DEADLINE_HEADER, deadlineFrom } from './deadline.ts'
import { publishHop, shownPath } from './hops.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { runInTrace, traceFrom } from './trace.ts'

export interface ObservedService {
  readonly name: string
  readonly log: Logger
  readonly metrics: Metrics
  /** The query parameters that hops may show; none by default. */
  readonly shownParameters?: readonly string[]
}

const REQUEST_ID = /^[\w.-]{1,64}$/

/**
 * Gives each request its id and its place in the trace, and tells of it when it is over: a line in the log, a figure,
 * and a hop where somebody watches the trace.
 */
export function observeRequests({
  name,
  log,
  metrics,
  shownParameters = [],
}: ObservedService): (request: IncomingMessage, response: ServerResponse, answer: RequestListener) => void {
  return (request, response, answer) => {
    const started = performance.now()
    const given = request.headers['x-request-id']
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
    const startedAt = Date.now()
    const trace = traceFrom(
      request.headers.traceparent as string | undefined,
      name,
      deadlineFrom(request.headers[DEADLINE_HEADER]),
    )
    // The query may carry a credential; the path never does. Express changes the URL on the way to a sub-router.
    const { url = '' } = request
    const path = url.split('?', 1)[0]?.slice(0, 256)
    response.setHeader('x-request-id', requestId)
    response.once('close', () => {
      const ms = performance.now() - started
      const routed = request as IncomingMessage & {
        route?: { path?: unknown }
        tokenId?: string
        logged?: { readonly reason?: unknown }
      }
      const route = typeof routed.route?.path === 'string' ? routed.route.path : 'unmatched'
      metrics.observeRequest(request.method ?? '', route, response.statusCode, ms / 1000)
      const reason = routed.logged?.reason
      if (trace.sampled)
        publishHop({
          kind: 'request',
          traceId: trace.traceId,
          spanId: trace.spanId,
          parentId: trace.parentId,
          service: name,
          method: request.method ?? '',
          path: shownPath(url, shownParameters),
          status: response.statusCode,
          startedAt,
          durationMs: ms,
          ...(typeof reason === 'string' ? { reason } : {}),
        })
      log.info(
        {
          method: request.method,
          path,
          status: response.statusCode,
          ms: Math.round(ms * 10) / 10,
          requestId,
          traceId: trace.traceId,
          ...(routed.tokenId === undefined ? {} : { jti: routed.tokenId }),
          ...routed.logged,
          ...(response.writableFinished ? {} : { aborted: true }),
        },
        'request',
      )
    })
    runInTrace(trace, () => answer(request, response))
  }
}

/** Adds to the line that the log will have about this request; nothing secret. */
export function logAlso(request: IncomingMessage, fields: Readonly<Record<string, unknown>>): void {
  const routed = request as IncomingMessage & { logged?: object }
  routed.logged = { ...routed.logged, ...fields }
}
