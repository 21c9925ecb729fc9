import type { IncomingMessage } from 'node:http'

/**
 * What a mesh uses to join the calls of one request to a trace: the sidecars cannot know which call belongs to which
 * request, so the service passes these on. `traceparent` is not among them; the peer client writes it for each hop.
 */
const TRACE_HEADERS = [
  'x-request-id',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'b3',
  'x-ot-span-context',
  'x-cloud-trace-context',
  'grpc-trace-bin',
  'tracestate',
] as const

/** Longer than any of them is allowed to be (W3C Trace Context §3.3.1.5 for the longest). */
const MAX_LENGTH = 512

export function traceHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    TRACE_HEADERS.flatMap((name) => {
      const value = request.headers[name]
      return typeof value === 'string' && value.length <= MAX_LENGTH ? [[name, value]] : []
    }),
  )
}
