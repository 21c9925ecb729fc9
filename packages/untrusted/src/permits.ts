/** Limits what anyone can cause, e.g. with made-up tokens: `max` at once, regained evenly within `perMs`. */
export class Permits {
  readonly #max: number
  readonly #perMs: number
  readonly #clock: () => number
  /** As of the time. */
  #left: number
  #leftAt = Number.NEGATIVE_INFINITY

  /** @param clock returns milliseconds since the epoch. */
  constructor(max: number, perMs: number, clock: () => number) {
    this.#max = max
    this.#perMs = perMs
    this.#clock = clock
    this.#left = max
  }

  get isEmpty(): boolean {
    this.#regain()
    return this.#left < 1
  }

  /** The time until one can be taken, in milliseconds; 0 if there is one. */
  get nextInMs(): number {
    this.#regain()
    return Math.max(0, ((1 - this.#left) * this.#perMs) / this.#max)
  }

  /** Takes one. Returns false if there is none. */
  take(): boolean {
    if (this.isEmpty) return false
    this.#left -= 1
    return true
  }

  /** Returns one that was taken for what proved to be real. */
  giveBack(): void {
    this.#left = Math.min(this.#max, this.#left + 1)
  }

  #regain(): void {
    const now = this.#clock()
    // A clock that is set back regains nothing, and counts on from there.
    const regained = Math.max(0, ((now - this.#leftAt) / this.#perMs) * this.#max)
    this.#left = Math.min(this.#max, this.#left + regained)
    this.#leftAt = now
  }
}
