import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { hopsAreWanted } from './hops.ts'

/** The position of a request in its trace (W3C Trace Context, level 1). */
export interface TraceContext {
  /** 32 hex digits, the same on every hop. */
  readonly traceId: string
  /** 16 hex digits that identify this hop. */
  readonly spanId: string
  /** The hop that called this one, if any. */
  readonly parentId: string | undefined
  /** Whether the trace is watched; decided where it begins and kept on every hop (§3.3). */
  readonly sampled: boolean
  /** The service that is handling the request. */
  readonly service: string
  /** When the caller stops waiting, on the clock of `performance.now()`; absent if unknown. */
  readonly deadline: number | undefined
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])$/

const storage = new AsyncLocalStorage<TraceContext>()

/**
 * Continues the caller's trace, or starts a new one if the header is absent or malformed (W3C §4.3).
 * @param deadline see {@link TraceContext}; calls within this trace end before it
 */
export function traceFrom(
  traceparent: string | undefined,
  service = 'unknown',
  deadline?: number,
): TraceContext {
  const match = traceparent === undefined ? null : TRACEPARENT.exec(traceparent)
  const spanId = newSpanId()
  if (!match)
    return { traceId: newTraceId(), spanId, parentId: undefined, sampled: sampleRoot(), service, deadline }
  const [, traceId, parentId, flags] = match as unknown as [string, string, string, string]
  const sampled = (Number.parseInt(flags, 16) & 1) === 1
  return { traceId, spanId, parentId, sampled, service, deadline }
}

export const runInTrace = <T>(trace: TraceContext, run: () => T): T => storage.run(trace, run)

export const currentTrace = (): TraceContext | undefined => storage.getStore()

/**
 * Creates the trace context and header of an outgoing call, as a child of `current`. Callers that have the trace at
 * hand pass it: on Node 20, once a process has read its AsyncLocalStorage, every callback becomes slower.
 */
export function nextHop(current = currentTrace()): {
  readonly trace: TraceContext
  readonly traceparent: string
} {
  const trace: TraceContext = current
    ? { ...current, spanId: newSpanId(), parentId: current.spanId }
    : {
        traceId: newTraceId(),
        spanId: newSpanId(),
        parentId: undefined,
        sampled: false,
        service: 'unknown',
        deadline: undefined,
      }
  return { trace, traceparent: `00-${trace.traceId}-${trace.spanId}-0${trace.sampled ? 1 : 0}` }
}

const newTraceId = () => randomHex(16)
const newSpanId = () => randomHex(8)

/** Reading a few random bytes from the system costs as much as reading many, and each request needs two IDs. */
const POOL_BYTES = 4096
let pool = Buffer.alloc(0)
let used = 0

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    pool = randomBytes(POOL_BYTES)
    used = 0
  }
  used += bytes
  return pool.toString('hex', used - bytes, used)
}

/**
 * A manual request is always worth showing; of a load test a few traces per second are enough and cost nothing.
 */
const ROOTS_PER_SECOND = 5
const ROOT_BURST = 20
let allowance = ROOT_BURST
let refilled = 0

function sampleRoot(): boolean {
  if (!hopsAreWanted()) return false
  const now = performance.now()
  allowance = Math.min(ROOT_BURST, allowance + ((now - refilled) / 1000) * ROOTS_PER_SECOND)
  refilled = now
  if (allowance < 1) return false
  allowance -= 1
  return true
}
