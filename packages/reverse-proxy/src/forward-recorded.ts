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

export interface RecordedForwardOptions
  extends Omit<ForwardOptions, 'answerFields' | 'deadline' | 'onFailure' | 'onEnd'> {
  /** For the cause of a failure. */
  readonly log: Logger
  readonly onEnd?: (outcome: Outcome) => void
}

/**
 * Returns the record of a request that will be forwarded, after adding what the access log of a proxy has of its caller.
 * @throws {HttpError} 405 for TRACE, which would send the token that a proxy adds back to the caller (RFC 9110 §9.3.8)
 */
export function recordForwarding(request: IncomingMessage): RequestRecord {
  const record = recordOf(request)
  if (!record) throw new Error('A request is forwarded that is not recorded.')
  record.route = 'forwarded'
  record.add({
    client: request.socket.remoteAddress,
    agent: request.headers['user-agent']?.slice(0, 128),
  })
  if (request.method !== 'TRACE') return record
  throw new HttpError(405, 'method_not_allowed', 'TRACE is not passed on.', {
    headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
  })
}

/**
 * Forwards a recorded request: the upstream gets its id and trace and what is left of its deadline, the answer has the
 * id once, and the log line has what an operator of nginx expects: `ua`, `us`, `ut`, `ul` (upstream address, status,
 * time, length). A failure is answered and recorded like any other error.
 */
export function forwardRecorded(
  request: IncomingMessage,
  response: ServerResponse,
  record: RequestRecord,
  { log, onEnd, ...options }: RecordedForwardOptions,
): void {
  const { requestId, trace } = record
  const { traceparent, tell } = beginCall(
    {
      peer: options.upstream.address,
      method: request.method ?? '',
      path: request.url?.split('?', 1)[0] ?? '',
    },
    trace,
  )
  forward(request, response, {
    ...options,
    headers: [...options.headers, 'x-request-id', requestId, 'traceparent', traceparent],
    answerFields: ['x-request-id', requestId],
    deadline: trace.deadline,
    onFailure: (error) => sendError(log, error, request, response),
    onEnd: (outcome) => {
      const { upstreams, upstreamStatus, upstreamMs, bytes, failure } = outcome
      record.add({
        ua: upstreams,
        us: upstreamStatus,
        ut: Math.round(upstreamMs * 10) / 10,
        ul: bytes,
      })
      tell({
        peer: upstreams,
        ...(upstreamStatus === undefined ? {} : { status: upstreamStatus }),
        ...(failure ? { reason: failure.code } : {}),
      })
      onEnd?.(outcome)
    },
  })
}
