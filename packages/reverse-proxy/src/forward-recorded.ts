import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  beginCall,
  HttpError,
  type Logger,
  type RequestRecord,
  recordOf,
  sendError,
} from '@hallpass/service-kit'
import { type ForwardOptions, forward, type Outcome } from './forward.ts'

export interface RecordedForwardOptions extends Omit<ForwardOptions, 'deadline' | 'onFailure' | 'onEnd'> {
  /** Gets the cause of a failure. */
  readonly log: Logger
  /** What the hop of the call shows: the peer instead of its address, and the token, without its signature. */
  readonly shown?: { readonly peer: string; readonly authorization: string | undefined }
  /** Answers the client if the upstream did not; by default as any other error. */
  readonly onFailure?: (error: HttpError) => void
  readonly onEnd?: (outcome: Outcome) => void
}

/**
 * Returns the record of a request that will be forwarded, after adding the caller's fields of a proxy's access log.
 * @throws {HttpError} 405 for TRACE, which would return the token that a proxy adds to the caller (RFC 9110 §9.3.8)
 */
export function recordForwarding(request: IncomingMessage): RequestRecord {
  const record = recordOf(request)
  if (!record) throw new Error('The request to forward has no record.')
  record.route = 'forwarded'
  record.add({
    client: request.socket.remoteAddress,
    agent: request.headers['user-agent']?.slice(0, 128),
  })
  if (request.method !== 'TRACE') return record
  throw new HttpError(405, 'method_not_allowed', 'TRACE requests are not forwarded.', {
    headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
  })
}

/**
 * Forwards a recorded request. The upstream gets its ID, its trace and the rest of its deadline; the response has the
 * ID once, and the log line has the fields known from nginx: `ua`, `us`, `ut`, `ul` (upstream address, status, time,
 * length). A failure is answered and recorded like any other error, unless `onFailure` answers it.
 */
export function forwardRecorded(
  request: IncomingMessage,
  response: ServerResponse,
  record: RequestRecord,
  { log, shown, answerFields = [], onFailure, onEnd, ...options }: RecordedForwardOptions,
): void {
  const { requestId, trace } = record
  const { traceparent, tell } = beginCall(
    {
      peer: options.upstream.address,
      method: request.method ?? '',
      path: request.url?.split('?', 1)[0] ?? '',
      ...shown,
    },
    trace,
  )
  forward(request, response, {
    ...options,
    headers: [...options.headers, 'x-request-id', requestId, 'traceparent', traceparent],
    answerFields: [...answerFields, 'x-request-id', requestId],
    deadline: trace.deadline,
    onFailure: onFailure ?? ((error) => sendError(log, error, request, response)),
    onEnd: (outcome) => {
      const { upstreams, upstreamStatus, upstreamMs, bytes, failure } = outcome
      record.add({
        ua: upstreams,
        us: upstreamStatus,
        ut: Math.round(upstreamMs * 10) / 10,
        ul: bytes,
      })
      tell({
        ...(shown ? {} : { peer: upstreams }),
        ...(upstreamStatus === undefined ? {} : { status: upstreamStatus }),
        ...(failure ? { reason: failure.code } : {}),
      })
      onEnd?.(outcome)
    },
  })
}
