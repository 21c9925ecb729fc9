import { pause } from '@hallpass/untrusted/timers'

/*
 * The pauses of a server that stops, each of which lets clients do something first; the same over HTTP/1.1 and HTTP/2.
 */

/** A client that uses its connection has sent its next request by then, and has heard that it must leave. */
const LINGER_MS = 750
/** When nobody has come for so long, and those who were asked to leave are back, the listener may close. */
const QUIET_MS = 50
/** Some do not come back, and where new clients come all the time it is never quiet. */
const MAX_QUIET_WAIT_MS = 1_000

/**
 * Looks at the sockets a few times before it ends: after a stall of the machine all timers are due at the same moment,
 * and clients that have been held up as well come only now.
 */
export async function takeTime(milliseconds: number): Promise<void> {
  await pause(milliseconds)
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

const TURNS = 4

/** The clients that left a server when they were asked to, and came back: one that is on its way must not be reset. */
export class Returners {
  #asked = 0
  #back = 0

  leave(clients: number): void {
    this.#asked += clients
  }

  comes(): void {
    this.#back += 1
  }

  async untilBack(): Promise<void> {
    const began = performance.now()
    for (let before = Number.NaN; before !== this.#back || before < this.#asked; ) {
      if (performance.now() - began > MAX_QUIET_WAIT_MS) return
      before = this.#back
      await takeTime(QUIET_MS)
    }
  }
}

/** Ends when no request was taken or answered for a while; whoever uses a connection has left it by then. */
export async function untilUnused(activeAt: () => number): Promise<void> {
  for (let left = LINGER_MS; left > 0; left = LINGER_MS - (performance.now() - activeAt()))
    await takeTime(left)
}
