/**
 * How long the sender of a request waits for the response, in milliseconds. The name is Envoy's: its sidecars write and
 * read this header, and unlike `grpc-timeout` it applies to requests other than gRPC (docs/decisions/012-deadlines.md).
 */
export const DEADLINE_HEADER = 'x-envoy-expected-rq-timeout-ms'

/** No client of the suite waits longer; larger values are capped, so that no caller can hold a request open. */
const MAX_DEADLINE_MS = 60_000
/**
 * The margin that a hop keeps: enough to notice that a peer is silent and still deliver its own response in time. Half
 * a second is the worst stall of a busy laptop; of a short deadline only a fifth is kept, so that some time is left.
 */
const MARGIN_PART = 0.2
const MAX_MARGIN_MS = 500

/**
 * Returns when the sender of a request stops waiting, on the clock of `performance.now()`.
 * Returns `undefined` if the header is absent or is not a positive integer: it is a hint, so a malformed one is
 * ignored.
 */
export function deadlineFrom(header: string | readonly string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^[1-9]\d{0,8}$/.test(header)) return undefined
  return performance.now() + Math.min(Number(header), MAX_DEADLINE_MS)
}

/**
 * Returns how many milliseconds an outgoing call may take for a request with this deadline: the remaining time minus a
 * margin, and never more than `ownMs`. Returns zero if no time is left.
 */
export function callBudget(deadline: number | undefined, ownMs: number): number {
  if (deadline === undefined) return ownMs
  const left = deadline - performance.now()
  const budget = Math.floor(left - Math.min(left * MARGIN_PART, MAX_MARGIN_MS))
  return Math.max(0, Math.min(ownMs, budget))
}
