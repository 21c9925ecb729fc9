/** Tells everybody who waits that something has changed; what it is, they look up themselves. */
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

  /** How many wait, for the metrics. */
  get waiting(): number {
    return this.#waiting.size
  }
}
