import { setTimeout as sleep } from 'node:timers/promises'

/** Returns the result of `work`, or `late` if it takes longer; then the work continues, and its failure is ignored. */
export async function within<T, L>(milliseconds: number, work: Promise<T>, late: L): Promise<T | L> {
  const over = new AbortController()
  try {
    return await Promise.race([work, sleep(milliseconds, late, { signal: over.signal })])
  } finally {
    over.abort()
  }
}
