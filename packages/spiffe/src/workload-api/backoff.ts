import { GrpcError, status } from '../grpc/status.ts'

/** The first retries are quick: a workload often starts a moment before its entry reaches the agent. */
const QUICK_RETRIES = 4
const QUICK_MS = 250

/** Then a second more each time (Workload Endpoint §6). */
const STEP_MS = 1000
const CAP_MS = 30_000

/** Trying a local socket that nobody listens on costs nothing, and so the agent's return is noticed in a second. */
const UNREACHABLE_CAP_MS = 1000

const UNREACHABLE: ReadonlySet<string | undefined> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EACCES',
  'ECONNRESET',
])

/** Whether a call failed before it reached any agent. */
export const isUnreachable = (error: unknown): boolean =>
  error instanceof GrpcError &&
  error.code === status.unavailable &&
  UNREACHABLE.has((error.cause as { code?: string } | undefined)?.code)

/** How long to wait before the next attempt to watch. */
export class Backoff {
  readonly #random: () => number
  #attempts = 0

  /** @param random as `Math.random`: spreads the retries of many workloads by a fifth in both directions */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** Milliseconds until the next attempt, after one that failed like this. */
  next(error: unknown): number {
    this.#attempts += 1
    const steps = this.#attempts - QUICK_RETRIES
    const cap = isUnreachable(error) ? UNREACHABLE_CAP_MS : CAP_MS
    const delay = steps <= 0 ? QUICK_MS : Math.min(steps * STEP_MS, cap)
    return delay * (0.8 + 0.4 * this.#random())
  }

  /** Called with every message: whoever was served starts afresh. */
  reset(): void {
    this.#attempts = 0
  }
}
