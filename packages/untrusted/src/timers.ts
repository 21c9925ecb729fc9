/** The maximum delay of timers in Node and browsers, 24 days and 20 hours; with a longer one they fire immediately. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Limits a delay from outside to the range of setInterval and of libraries' timeouts. @throws {RangeError} for NaN */
export function cappedMs(milliseconds: number): number {
  if (Number.isNaN(milliseconds)) throw new RangeError('A delay must be a number of milliseconds, not NaN.')
  return Math.min(Math.max(0, milliseconds), MAX_TIMER_MS)
}

export interface CallAfterOptions {
  /** Whether the timer keeps the process alive. Default: false. */
  readonly keepAlive?: boolean
}

/**
 * Calls back once after any number of milliseconds: delays beyond a timer's maximum are split, Infinity never fires, and
 * a past time fires immediately, but after this function has returned.
 * @returns a function that cancels the call
 * @throws {RangeError} for NaN
 */
export function callAfter(
  milliseconds: number,
  callBack: () => void,
  { keepAlive = false }: CallAfterOptions = {},
): () => void {
  const due = performance.now() + milliseconds
  let timer: NodeJS.Timeout
  const arm = () => {
    timer = setTimeout(next, cappedMs(due - performance.now()))
    if (!keepAlive) timer.unref()
  }
  const next = () => {
    // Timers may fire a fraction of a millisecond early.
    if (due - performance.now() < 1) callBack()
    else arm()
  }
  arm()
  return () => clearTimeout(timer)
}

/** Resolves after any number of milliseconds, or when the signal is aborted. Keeps the process alive. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const end = () => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = callAfter(milliseconds, end, { keepAlive: true })
    signal?.addEventListener('abort', end, { once: true })
  })
}
