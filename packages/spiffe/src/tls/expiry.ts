import type { TLSSocket } from 'node:tls'
import { callAfter } from '@hallpass/untrusted/timers'
import type { Clock } from '../clock.ts'
import { SpiffeTlsError } from './errors.ts'

/**
 * A connection gets no new requests in the last fifth of its lifetime (at most 30 seconds), so that requests in progress
 * finish before its certificates expire.
 */
const RETIREMENT_SHARE = 0.2
const MAX_RETIREMENT_MS = 30_000

/** Returns the time after which a connection that starts now should get no new requests. */
export const retirementOf = (expiresAt: number, now: number): number =>
  expiresAt - Math.min(MAX_RETIREMENT_MS, (expiresAt - now) * RETIREMENT_SHARE)

/** Calls back when the clock reaches a time. Does not keep the process alive. Returns a function that cancels it. */
export function callAt(time: number, clock: Clock, callBack: () => void): () => void {
  const look = () => {
    // The clock may have been changed meanwhile.
    if (time <= clock()) callBack()
    else cancel = callAfter(time - clock(), look)
  }
  let cancel = callAfter(time - clock(), look)
  return () => cancel()
}

/**
 * Closes a connection when the first of its certificates expires.
 *
 * @param withError true for a client, whose requests should fail with the reason; false for a server, whose code
 * does not necessarily expect a socket error because of a client's certificate
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
