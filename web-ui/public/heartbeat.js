// @ts-check

/** Beats that may be missed: one can be late, two in a row are not there. */
const MISSED = 2
/** What a beat may take on its way, and a busy page to notice it. */
const SLACK_MS = 500

/** When something that should come regularly came last, and so whether what is shown is up to date. */
export class Heartbeat {
  /** The named interval. */
  everyMs
  #lastAt = 0
  #now

  /**
   * @param {number} everyMs
   * @param {() => number} now milliseconds that no change of the clock moves.
   */
  constructor(everyMs, now = () => performance.now()) {
    this.everyMs = everyMs
    this.#now = now
    this.start()
  }

  /** Counts from now: a connection that opens has the time of its first beats. */
  start() {
    this.#lastAt = this.#now()
  }

  beat() {
    this.start()
  }

  /** How long nothing has come. */
  get silentMs() {
    return this.#now() - this.#lastAt
  }

  get isLate() {
    return this.silentMs > MISSED * this.everyMs + SLACK_MS
  }
}
