import type { Clock } from './clock.ts'

/**
 * A bounded set of names that expire individually, e.g. the `jti` of tokens. It never evicts a name that has not
 * expired; when it is full, `add` returns false.
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

  /** Adds a name until `untilMs`; returns false if the set is full. */
  add(name: string, untilMs: number): boolean {
    if (this.#untilMs.size >= this.#max) this.#forgetExpired()
    if (this.#untilMs.size >= this.#max && !this.#untilMs.has(name)) return false
    this.#untilMs.set(name, untilMs)
    return true
  }

  /** Removes a name before it expires. */
  delete(name: string): void {
    this.#untilMs.delete(name)
  }

  #forgetExpired() {
    const now = this.#clock()
    for (const [name, untilMs] of this.#untilMs) if (untilMs <= now) this.#untilMs.delete(name)
  }
}
