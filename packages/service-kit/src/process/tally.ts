/** Counts by key, for example what each subject has open; a key whose count is back at zero is forgotten. */
export class Tally<Key> {
  readonly #counts = new Map<Key, number>()
  #total = 0

  /** Returns the sum over all keys. */
  get total(): number {
    return this.#total
  }

  of(key: Key): number {
    return this.#counts.get(key) ?? 0
  }

  add(key: Key): void {
    this.#counts.set(key, this.of(key) + 1)
    this.#total += 1
  }

  /** Call it once for each `add`. */
  remove(key: Key): void {
    const left = this.of(key) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
    this.#total -= 1
  }
}
