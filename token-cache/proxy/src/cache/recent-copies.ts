/**
 * Keeps the most recently used values in bounded memory, in two maps: values that are used move to the young map; when it
 * is full, it replaces the old one, whose remaining values are dropped. A hit costs one lookup, and nothing is sorted.
 */
export class RecentCopies<T> {
  readonly #half: number
  #young = new Map<string, T>()
  #old = new Map<string, T>()

  /** @param max the maximum number of values; the most recently used half of them is always kept. */
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

  /** Returns the number of values; one that was used again can count twice. */
  get size(): number {
    return this.#young.size + this.#old.size
  }
}
