import { nextHop, publishHop, shownBody, shownToken, type TraceContext } from '../observation/index.ts'

export interface CallToTell {
  readonly peer: string
  readonly method: string
  readonly path: string
  /** The `Authorization` header, or the token itself. */
  readonly authorization?: string | undefined
  readonly body?: unknown
}

export interface CallOutcome {
  readonly status?: number
  /** Why no response arrived: stable and machine-readable. */
  readonly reason?: string
  readonly message?: string
  readonly answer?: unknown
  /** The peer that was called last, if another one was tried first. */
  readonly peer?: string
}

export interface BegunCall {
  /** The header that makes the peer's hop a child of this one. */
  readonly traceparent: string
  /** Reports the result of the call to anyone watching the trace. Only the first call has an effect. */
  readonly tell: (outcome: CallOutcome) => void
}

const nobodyWatches = () => {}

/** Starts the hop of an outgoing call; its parent is `current`, by default the current trace. */
export function beginCall(call: CallToTell, current?: TraceContext): BegunCall {
  const { trace, traceparent } = nextHop(current)
  if (!trace.sampled) return { traceparent, tell: nobodyWatches }
  const { traceId, spanId, parentId, service } = trace
  const { peer, method, path, authorization, body } = call
  const startedAt = Date.now()
  const started = performance.now()
  let told = false
  const tell = ({ answer, ...outcome }: CallOutcome) => {
    if (told) return
    told = true
    const token = shownToken(authorization)
    const requestBody = shownBody(body)
    const answerBody = shownBody(answer)
    publishHop({
      kind: 'call',
      traceId,
      spanId,
      parentId,
      service,
      peer,
      method,
      path,
      startedAt,
      durationMs: performance.now() - started,
      ...outcome,
      ...(token ? { token } : {}),
      ...(requestBody === undefined ? {} : { requestBody }),
      ...(answerBody === undefined ? {} : { answerBody }),
    })
  }
  return { traceparent, tell }
}
