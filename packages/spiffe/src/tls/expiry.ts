import type { TLSSocket } from 'node:tls'
import { callAfter } from '@hallpass/untrusted/timers'
import type { Clock } from '../clock.ts'
import { SpiffeTlsError } from './errors.ts'

/**
 * A connection is given no new request in the last fifth of the time that it had left when it began, half a
 * minute at most: what is under way then ends in peace before the certificates do.
 */
const RETIREMENT_SHARE = 0.2
const MAX_RETIREMENT_MS = 30_000

/** From when on a connection that ends at a time, and begins now, should be given no new request. */
export const retirementOf = (expiresAt: number, now: number): number =>
  expiresAt - Math.min(MAX_RETIREMENT_MS, (expiresAt - now) * RETIREMENT_SHARE)

/** Calls back at a time of the clock; keeps no process alive. The returned function calls it off. */
export function callAt(time: number, clock: Clock, callBack: () => void): () => void {
  const look = () => {
    // The clock may have been set meanwhile.
    if (time <= clock()) callBack()
    else cancel = callAfter(time - clock(), look)
  }
  let cancel = callAfter(time - clock(), look)
  return () => cancel()
}

/**
 * Ends a connection when the first of the certificates that it rests on ends.
 *
 * @param withError for a client, whose requests must hear the reason; a server's socket ends without one, since
 * whoever wrote it may not expect that a client's certificate can fail it
 */
export function endAtExpiry(socket: TLSSocket, expiresAt: number, clock: Clock, withError: boolean): void {
  const cancel = callAt(expiresAt, clock, () => {
    const time = new Date(expiresAt).toISOString()
    socket.destroy(
      withError
        ? new SpiffeTlsError('svid_expired', `the SVID of this connection expired at ${time}`)
        : undefined,
    )
  })
  socket.once('close', cancel)
}
