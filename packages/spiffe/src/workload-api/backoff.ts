import { GrpcError, status } from '../grpc/index.ts'

/** The first retries are quick, because a workload often starts just before its entry reaches the agent. */
const QUICK_RETRIES = 4
const QUICK_MS = 250

/** Later delays grow by one second each (Workload Endpoint §6). */
const STEP_MS = 1000
const CAP_MS = 30_000

/** Connecting to an unused local socket is cheap, so a recovered agent is detected within a second. */
const UNREACHABLE_CAP_MS = 1000

const UNREACHABLE: ReadonlySet<string | undefined> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EACCES',
  'ECONNRESET',
])

/** Tests whether a call failed before it reached an agent. */
export const isUnreachable = (error: unknown): boolean =>
  error instanceof GrpcError &&
  error.code === status.unavailable &&
  UNREACHABLE.has((error.cause as { code?: string } | undefined)?.code)

/** Computes the delay before the next attempt to watch. */
export class Backoff {
  readonly #random: () => number
  #attempts = 0

  /** @param random like `Math.random`; varies the delay by up to 20% to spread the retries of many workloads */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** Returns the milliseconds until the next attempt, after one that failed with this error. */
  next(error: unknown): number {
    this.#attempts += 1
    const steps = this.#attempts - QUICK_RETRIES
    const cap = isUnreachable(error) ? UNREACHABLE_CAP_MS : CAP_MS
    const delay = steps <= 0 ? QUICK_MS : Math.min(steps * STEP_MS, cap)
    return delay * (0.8 + 0.4 * this.#random())
  }

  /** Resets the delays; called for every message. */
  reset(): void {
    this.#attempts = 0
  }
}
