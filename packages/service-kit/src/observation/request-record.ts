import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { DEADLINE_HEADER, deadlineFrom } from '../peers/deadline.ts'
import { publishHop, shownPath } from './hops.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { type TraceContext, traceFrom } from './trace.ts'

/** Who records, and where to. */
export interface RecordingService {
  readonly name: string
  readonly log: Logger
  readonly metrics: Metrics
  /** The query parameters that hops may show; none by default. */
  readonly shownParameters?: readonly string[]
}

/** The head of a request, over HTTP/1.1 or HTTP/2. */
export interface RequestHead {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** How a request ended. */
export interface RequestEnd {
  readonly status: number
  /** Whether the whole answer was sent; else the client left, or the answer broke off. */
  readonly complete: boolean
}

const REQUEST_ID = /^[\w.-]{1,64}$/
const MAX_LOGGED_PATH = 256

/**
 * The record of one request, whichever protocol it came over, and whether a route answers it, a stream or an upstream:
 * its id, its place in the trace and its deadline; in the end a line of the log, an observation of the metrics, and a hop
 * where the trace is watched.
 */
export class RequestRecord {
  /** The caller's `x-request-id` if that is a plain word of at most 64 characters; the answer has it, once. */
  readonly requestId: string
  readonly trace: TraceContext
  /** The label of the metric: the pattern of the route, because paths are without number. */
  route = 'unmatched'
  readonly #service: RecordingService
  readonly #method: string
  readonly #path: string
  readonly #shownPath: string
  readonly #started = performance.now()
  readonly #startedAt = Date.now()
  #added: Readonly<Record<string, unknown>> = {}
  #told = false

  constructor(service: RecordingService, { method = '', url = '', headers }: RequestHead) {
    this.#service = service
    this.#method = method
    // The query may carry a credential; the path never does.
    this.#path = (url.split('?', 1)[0] as string).slice(0, MAX_LOGGED_PATH)
    const given = headers['x-request-id']
    this.requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
    this.trace = traceFrom(
      headers.traceparent as string | undefined,
      service.name,
      deadlineFrom(headers[DEADLINE_HEADER]),
    )
    this.#shownPath = this.trace.sampled ? shownPath(url, service.shownParameters ?? []) : ''
  }

  /** Adds fields to the line of the log; nothing secret. */
  add(fields: Readonly<Record<string, unknown>>): void {
    this.#added = { ...this.#added, ...fields }
  }

  /** Publishes the hop now instead of at the end, which may be hours away for a stream. Does so once. */
  tellHop(status: number): void {
    if (!this.trace.sampled || this.#told) return
    this.#told = true
    const { traceId, spanId, parentId } = this.trace
    const { reason } = this.#added
    publishHop({
      kind: 'request',
      traceId,
      spanId,
      parentId,
      service: this.#service.name,
      method: this.#method,
      path: this.#shownPath,
      status,
      startedAt: this.#startedAt,
      durationMs: performance.now() - this.#started,
      ...(typeof reason === 'string' ? { reason } : {}),
    })
  }

  end({ status, complete }: RequestEnd): void {
    const { log, metrics } = this.#service
    const ms = performance.now() - this.#started
    metrics.observeRequest(this.#method, this.route, status, ms / 1000)
    this.tellHop(status)
    if (!log.isLevelEnabled('info')) return
    log.info(
      {
        method: this.#method,
        path: this.#path,
        status,
        ms: Math.round(ms * 10) / 10,
        requestId: this.requestId,
        traceId: this.trace.traceId,
        ...this.#added,
        ...(complete ? {} : { aborted: true }),
      },
      'request',
    )
  }
}

const RECORD = Symbol('record')
type Recorded = IncomingMessage & { [RECORD]?: RequestRecord; readonly route?: { readonly path?: unknown } }

/** Begins the record of a request that Node's server has parsed; it ends with the response. */
export function recordRequest(
  service: RecordingService,
  request: IncomingMessage,
  response: ServerResponse,
): RequestRecord {
  const record = new RequestRecord(service, request)
  const recorded = request as Recorded
  recorded[RECORD] = record
  response.once('close', () => {
    const path = recorded.route?.path
    if (typeof path === 'string') record.route = path
    record.end({ status: response.statusCode, complete: response.writableFinished })
  })
  return record
}

/** Returns the record of a request; `undefined` for one that is not recorded, as a probe's. */
export const recordOf = (request: IncomingMessage): RequestRecord | undefined => (request as Recorded)[RECORD]

/** Adds to the line that the log will have about this request; nothing secret. */
export function logAlso(request: IncomingMessage, fields: Readonly<Record<string, unknown>>): void {
  recordOf(request)?.add(fields)
}
