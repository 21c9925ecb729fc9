/** Notifies all waiting streams that something has changed; they compute their new state themselves. */
export class Changes {
  #waiting = new Set<() => void>()

  announce(): void {
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const wake of waiting) wake()
  }

  /** Resolves at the next announcement, or when the signal aborts. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const wake = () => {
        signal.removeEventListener('abort', wake)
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  /** The number of waiting streams. */
  get waiting(): number {
    return this.#waiting.size
  }
}
