/** Whether a store takes new entries, as its last write showed; its operator is told when that changes. */
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
      this.#onNotice(`the store is full (${reason}): new tokens are refused until there is room, blocks hold`)
    this.#isFull = true
  }

  free(): void {
    if (this.#isFull) this.#onNotice('the store has room again')
    this.#isFull = false
  }
}
