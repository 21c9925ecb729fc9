import type { Clock } from '@hallpass/service-kit'

/**
 * The largest deviation that is not a jump. NTP slews by at most 0.5 ms per second, i.e. 30 ms per minute between two
 * looks; verifiers tolerate 5 seconds by default (CLOCK_TOLERANCE_SECONDS).
 */
const JUMP_MS = 2_000

export interface ClockWatchOptions {
  /** Milliseconds since the epoch; may be set back or forward. */
  readonly clock: Clock
  /** Milliseconds since any moment; never set. */
  readonly monotonic: () => number
  /** Called with the size of each jump in milliseconds; negative if the clock was set back. */
  readonly onJump: (jumpMs: number) => void
}

/** Compares this machine's clock with its monotonic clock to notice when the clock is set. */
export class ClockWatch {
  readonly #options: ClockWatchOptions
  #offsetMs: number
  #jumpedAt = Number.NEGATIVE_INFINITY
  /** The sum of all jumps since the start, in milliseconds. */
  jumpedMs = 0

  constructor(options: ClockWatchOptions) {
    this.#options = options
    this.#offsetMs = this.#offset()
  }

  /** Milliseconds since the last jump that was noticed, by the monotonic clock. */
  get sinceJumpMs(): number {
    return this.#options.monotonic() - this.#jumpedAt
  }

  /** Compares the clocks with what they were at the last look. */
  look(): void {
    const offset = this.#offset()
    const jump = offset - this.#offsetMs
    this.#offsetMs = offset
    if (Math.abs(jump) < JUMP_MS) return
    this.#jumpedAt = this.#options.monotonic()
    this.jumpedMs += Math.abs(jump)
    this.#options.onJump(jump)
  }

  #offset(): number {
    return this.#options.clock() - this.#options.monotonic()
  }
}
