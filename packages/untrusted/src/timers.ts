/** Node and browsers keep a timer's delay in 31 bits: a longer one fires at once. It is 24 days and 20 hours. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Returns what setInterval, and libraries with a timeout in milliseconds, take for a number from outside. */
export function cappedMs(milliseconds: number): number {
  if (Number.isNaN(milliseconds)) throw new RangeError('A delay is a number of milliseconds, not NaN.')
  return Math.min(Math.max(0, milliseconds), MAX_TIMER_MS)
}

export interface CallAfterOptions {
  /** Whether the process stays alive for it; by default it does not. */
  readonly keepAlive?: boolean
}

/**
 * Calls back once, after so many milliseconds, however many: a delay that no timer holds is waited for in parts, and
 * Infinity for ever. What is due already is called at once, but never before this function returns.
 * @returns a function that calls it off
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
    // Timers may be a fraction of a millisecond early.
    if (due - performance.now() < 1) callBack()
    else arm()
  }
  arm()
  return () => clearTimeout(timer)
}

/** Resolves after so many milliseconds, however many, or as soon as the signal is aborted. Keeps the process alive. */
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
