import { cappedMs } from '@hallpass/untrusted/timers'
/** Callers that wait until something happens, or until their time is over; either way they look again. */
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
