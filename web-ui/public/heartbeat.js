// @ts-check

/** Heartbeats that may be missed before they count as late. */
const MISSED = 2
/** Allowance for network delay and a busy page. */
const SLACK_MS = 500

/** Tracks when a regular message last arrived, and so whether the displayed data is current. */
export class Heartbeat {
  /** The announced interval. */
  everyMs
  #lastAt = 0
  #now

  /**
   * @param {number} everyMs
   * @param {() => number} now monotonic milliseconds.
   */
  constructor(everyMs, now = () => performance.now()) {
    this.everyMs = everyMs
    this.#now = now
    this.start()
  }

  /** Restarts the wait, so that a new connection has time for its first heartbeat. */
  start() {
    this.#lastAt = this.#now()
  }

  beat() {
    this.start()
  }

  /** Milliseconds since the last heartbeat. */
  get silentMs() {
    return this.#now() - this.#lastAt
  }

  get isLate() {
    return this.silentMs > MISSED * this.everyMs + SLACK_MS
  }
}
