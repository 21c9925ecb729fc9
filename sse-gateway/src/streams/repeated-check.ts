import { Deadline, type TimerWheel } from '@hallpass/guarded-stream'
import type { Clock } from '@hallpass/service-kit'

export interface RepeatedCheckOptions {
  readonly wheel: TimerWheel
  readonly clock: Clock
  /** The time from the end of a check to the next one. */
  readonly pauseMs: number
  /** Must not reject. */
  readonly check: () => Promise<void>
}

/** Checks the open streams again and again, never twice at the same time. */
export class RepeatedCheck {
  readonly #options: RepeatedCheckOptions
  readonly #deadline: Deadline
  #isStopped = false

  constructor(options: RepeatedCheckOptions) {
    this.#options = options
    this.#deadline = new Deadline(() => void options.check().then(() => this.start()))
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  start(): void {
    const { wheel, clock, pauseMs } = this.#options
    if (!this.#isStopped) wheel.arm(this.#deadline, clock() + pauseMs)
  }

  /** Ends the checks for good; one that is running ends by itself. */
  stop(): void {
    this.#isStopped = true
    this.#options.wheel.disarm(this.#deadline)
  }
}
