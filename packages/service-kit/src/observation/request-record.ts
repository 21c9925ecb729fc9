import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { type Duplex, finished } from 'node:stream'
import { DEADLINE_HEADER, deadlineFrom } from '../deadline.ts'
import { publishHop, shownPath } from './hops.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { type TraceContext, traceFrom } from './trace.ts'

/** The service that records requests, and where to. */
export interface RecordingService {
  readonly name: string
  readonly log: Logger
  readonly metrics: Metrics
  /** The query parameters that hops may show; by default none. */
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
  /** Whether the whole response was sent; false if the client disconnected or the response was interrupted. */
  readonly complete: boolean
}

const REQUEST_ID = /^[\w.-]{1,64}$/
const MAX_LOGGED_PATH = 256

/**
 * The record of one request, for any protocol and whether a route, a stream or an upstream answers it: its id, its
 * place in the trace and its deadline. At the end it becomes a log line, an observation of the metrics and, if the
 * trace is watched, a hop.
 */
export class RequestRecord {
  /**
   * The caller's `x-request-id` if it consists of at most 64 plain characters, otherwise a new one; the response has it
   * once.
   */
  readonly requestId: string
  readonly trace: TraceContext
  /** The label of the metric: the pattern of the route, because the number of paths is unbounded. */
  route = 'unmatched'
  /** The status that an upgrade was answered with; 0 before. */
  upgradeStatus = 0
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
    // The query may contain a credential; the path never does.
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

  /** Adds fields to the log line; nothing secret. */
  add(fields: Readonly<Record<string, unknown>>): void {
    this.#added = { ...this.#added, ...fields }
  }

  /** Publishes the hop now, once, instead of at the end, which may be hours away for a stream. */
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
    const { reason } = this.#added
    if (typeof reason === 'string') metrics.countRefusal(reason)
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

/** Starts the record of a request that Node's server has parsed; it ends with the response. */
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

/**
 * Starts the record of an upgrade that Node's server has parsed, e.g. of a WebSocket; it ends with the connection. The
 * code that answers sets `upgradeStatus`.
 */
export function recordUpgrade(
  service: RecordingService,
  request: IncomingMessage,
  socket: Duplex,
): RequestRecord {
  const record = new RequestRecord(service, request)
  const recorded = request as Recorded
  recorded[RECORD] = record
  finished(socket, { readable: false }, (error) => {
    const { upgradeStatus: status } = record
    // An upgraded connection has no last byte that could be missing.
    record.end({ status, complete: status === 101 || !error })
  })
  return record
}

/** Returns the record of a request; `undefined` if it is not recorded, e.g. a probe. */
export const recordOf = (request: IncomingMessage): RequestRecord | undefined => (request as Recorded)[RECORD]

/** Adds fields to the log line of this request; nothing secret. */
export function logAlso(request: IncomingMessage, fields: Readonly<Record<string, unknown>>): void {
  recordOf(request)?.add(fields)
}
