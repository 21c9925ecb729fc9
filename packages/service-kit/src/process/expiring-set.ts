import type { Clock } from './clock.ts'

/**
 * Names that count until a moment of their own, e.g. the `jti` of tokens until they expire. Bounded: it never forgets a
 * name that still counts, so when it is full it says so.
 */
export class ExpiringSet {
  readonly #untilMs = new Map<string, number>()
  readonly #clock: Clock
  readonly #max: number

  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#max = max
  }

  has(name: string): boolean {
    const untilMs = this.#untilMs.get(name)
    return untilMs !== undefined && untilMs > this.#clock()
  }

  /** False when there is no room for it. */
  add(name: string, untilMs: number): boolean {
    if (this.#untilMs.size >= this.#max) this.#forgetExpired()
    if (this.#untilMs.size >= this.#max && !this.#untilMs.has(name)) return false
    this.#untilMs.set(name, untilMs)
    return true
  }

  #forgetExpired() {
    const now = this.#clock()
    for (const [name, untilMs] of this.#untilMs) if (untilMs <= now) this.#untilMs.delete(name)
  }
}
