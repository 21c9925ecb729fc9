import type { IncomingMessage } from 'node:http'

/**
 * The headers by which a mesh adds calls to the trace of a request. The service must forward them, because sidecars do not
 * know which call belongs to which request. `traceparent` is missing because the peer client sets it for each hop.
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

/** The longest value to forward: that of `tracestate` (W3C Trace Context §3.3.1.5). */
const MAX_LENGTH = 512

export function traceHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    TRACE_HEADERS.flatMap((name) => {
      const value = request.headers[name]
      return typeof value === 'string' && value.length <= MAX_LENGTH ? [[name, value]] : []
    }),
  )
}
