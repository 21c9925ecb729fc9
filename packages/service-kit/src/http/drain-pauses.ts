import { pause } from '@hallpass/untrusted/timers'

/*
 * The pauses of a stopping server. Each gives clients time to react; they are the same over HTTP/1.1 and HTTP/2.
 */

/**
 * Within this time a client that uses its connection has sent another request, and its response has told it to leave.
 */
const LINGER_MS = 750
/** The listener closes once no client has connected for this long and every client that was asked to leave is back. */
const QUIET_MS = 50
/** The limit for that: some clients never reconnect, and with a steady flow of new clients it is never quiet. */
const MAX_QUIET_WAIT_MS = 1_000

/**
 * Waits, checking the sockets several times: after a stall of the machine all timers are due at the same moment, and
 * requests of clients that were stalled too arrive only then.
 */
export async function takeTime(milliseconds: number): Promise<void> {
  await pause(milliseconds)
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

const TURNS = 4

/** Counts clients that left when asked and reconnected: a connection on its way must not be reset. */
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

/** Resolves when no request has started or ended for a while; by then every active client has left its connection. */
export async function untilUnused(activeAt: () => number): Promise<void> {
  for (let left = LINGER_MS; left > 0; left = LINGER_MS - (performance.now() - activeAt()))
    await takeTime(left)
}
