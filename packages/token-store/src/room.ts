/** Tracks whether a store accepts new entries, judged by its last write, and notifies the operator of changes. */
export class Room {
  readonly #onNotice: (notice: string) => void
  #isFull = false

  constructor(onNotice: (notice: string) => void = () => {}) {
    this.#onNotice = onNotice
  }

  get isFull(): boolean {
    return this.#isFull
  }

  full(reason: string): void {
    if (!this.#isFull)
      this.#onNotice(
        `the store is full (${reason}): new entries are rejected until there is room; those in it still apply`,
      )
    this.#isFull = true
  }

  free(): void {
    if (this.#isFull) this.#onNotice('the store has room again')
    this.#isFull = false
  }
}
