/**
 * The most recently used values, in bounded memory. Two maps: what is asked for moves to the young one, and when that
 * is full it becomes the old one, whose rest is forgotten. A hit costs one look-up, and nothing is sorted.
 */
export class RecentCopies<T> {
  readonly #half: number
  #young = new Map<string, T>()
  #old = new Map<string, T>()

  /** @param max how many values are kept at most; at least half of them are the most recently used. */
  constructor(max: number) {
    this.#half = Math.max(1, Math.floor(max / 2))
  }

  get(key: string): T | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: T): void {
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  delete(key: string): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  /** How many are kept; one that was used again may count twice. */
  get size(): number {
    return this.#young.size + this.#old.size
  }
}
