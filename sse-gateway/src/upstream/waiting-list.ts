import { cappedMs } from '@hallpass/untrusted/timers'

/** Lets callers wait until they are woken or time out; either way, they must check their condition again. */
export class WaitingList {
  readonly #waiting = new Set<() => void>()

  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, cappedMs(milliseconds))
      this.#waiting.add(wake)
    })
  }

  wakeAll(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
