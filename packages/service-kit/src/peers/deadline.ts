/**
 * How long the sender of a request waits for its answer, in milliseconds. Envoy's name: its sidecars write and read the
 * same field, and unlike `grpc-timeout` it means something on a request that is not gRPC (docs/decisions/012-deadlines.md).
 */
export const DEADLINE_HEADER = 'x-envoy-expected-rq-timeout-ms'

/** Nobody waits longer for an answer of the suite; a larger value is cut to this, so that no caller extends its stay. */
const MAX_DEADLINE_MS = 60_000
/**
 * What a hop keeps for itself: enough to notice that a peer is silent, and for its own answer to arrive in time. Half a
 * second is what a busy laptop stalls for at worst; of little time a fifth is kept, so that something is left.
 */
const MARGIN_PART = 0.2
const MAX_MARGIN_MS = 500

/**
 * Returns when the sender of a request stops waiting, on the clock of `performance.now()`.
 * `undefined` without the field, or with one that is not a positive integer: a hint that cannot be read is ignored.
 */
export function deadlineFrom(header: string | readonly string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^[1-9]\d{0,8}$/.test(header)) return undefined
  return performance.now() + Math.min(Number(header), MAX_DEADLINE_MS)
}

/**
 * Returns how many milliseconds a call may take that is made for a request with this deadline: what is left of it minus
 * a margin, and never more than `ownMs`. Zero when there is nothing left.
 */
export function callBudget(deadline: number | undefined, ownMs: number): number {
  if (deadline === undefined) return ownMs
  const left = deadline - performance.now()
  const budget = Math.floor(left - Math.min(left * MARGIN_PART, MAX_MARGIN_MS))
  return Math.max(0, Math.min(ownMs, budget))
}
