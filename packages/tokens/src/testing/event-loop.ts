/** More than any library needs to settle its own promises. */
const MICROTASKS = 1000

/**
 * Tests whether a promise settles before the event loop turns. The result of another thread cannot, because it arrives as
 * an event; so a signature that settles was made on this thread and blocked it.
 */
export async function settlesWithoutTheEventLoop(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = () => {
    settled = true
  }
  promise.then(settle, settle)
  for (let turn = 0; turn < MICROTASKS; turn += 1) await undefined
  return settled
}
