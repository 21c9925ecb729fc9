import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'

/** Where a request stands in its trace (W3C Trace Context, level 1). */
export interface TraceContext {
  /** 32 hex digits, the same on every hop. */
  readonly traceId: string
  /** 16 hex digits: this hop. */
  readonly spanId: string
  /** The hop that called, when there was one. */
  readonly parentId: string | undefined
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/

const storage = new AsyncLocalStorage<TraceContext>()

/** Continues the caller's trace, or starts one when the header is absent or malformed (W3C §4.3). */
export function traceFrom(traceparent: string | undefined): TraceContext {
  const match = traceparent === undefined ? null : TRACEPARENT.exec(traceparent)
  return {
    traceId: match?.[1] ?? randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    parentId: match?.[2],
  }
}

export const runInTrace = <T>(trace: TraceContext, run: () => T): T => storage.run(trace, run)

export const currentTrace = (): TraceContext | undefined => storage.getStore()

/** The header that a call made now must carry, so that the callee continues this trace. */
export function traceparent(): string {
  const trace = currentTrace() ?? traceFrom(undefined)
  return `00-${trace.traceId}-${trace.spanId}-01`
}
