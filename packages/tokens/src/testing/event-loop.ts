/** More than any library needs to get through its own promises. */
const MICROTASKS = 1000

/**
 * Whether a promise settles before the event loop turns. What another thread does cannot, for its answer comes as an
 * event: so a signature that settles has been made on this thread, and everything else waited for it.
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
