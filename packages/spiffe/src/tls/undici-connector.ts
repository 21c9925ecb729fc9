import type { TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../clock.ts'
import type { ClientSecurity } from './client.ts'
import { retirementOf } from './expiry.ts'

interface UndiciTarget {
  readonly hostname: string
  readonly port: string
  readonly servername?: string | null
  readonly protocol: string
}

type UndiciCallback = (...result: [null, TLSSocket] | [Error, null]) => void

/** What a target without a port means. */
const HTTPS_PORT = 443

type Dispatch<O, H> = (options: O, handler: H) => boolean

/** How undici connects: `new Agent({ connect }).compose(connect.retire)`. */
export interface UndiciConnector {
  (target: UndiciTarget, callback: UndiciCallback): void
  /**
   * An interceptor: when the certificates of a connection are about to end, requests are the last ones on theirs, so
   * that none is under way when the connection ends with its certificates.
   */
  retire<O extends object, H>(dispatch: Dispatch<O, H>): Dispatch<O, H>
}

/** Connects with SVIDs, for undici and its `fetch`. Plain HTTP is refused. */
export function undiciConnector(
  security: ClientSecurity,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): UndiciConnector {
  const retirements = new Map<TLSSocket, number>()

  function connect({ hostname, port, servername, protocol }: UndiciTarget, callback: UndiciCallback): void {
    if (protocol !== 'https:') {
      callback(new TypeError(`SPIFFE needs TLS, and ${protocol}//${hostname} has none.`), null)
      return
    }
    let socket: TLSSocket
    try {
      socket = security.connect({
        host: hostname.replace(/^\[|\]$/g, ''),
        port: Number(port || HTTPS_PORT),
        ...(servername && { servername }),
        ALPNProtocols: ['http/1.1'],
      })
    } catch (error) {
      callback(error as Error, null)
      return
    }
    const onError = (error: Error) => callback(error, null)
    socket.setNoDelay(true)
    socket.once('error', onError)
    socket.once('secureConnect', () => {
      // The check that runs before this listener may have ended the socket; its error is on the way.
      if (socket.destroyed) return
      socket.off('error', onError)
      const expiresAt = security.expiresAt(socket)
      if (Number.isFinite(expiresAt)) {
        retirements.set(socket, retirementOf(expiresAt, clock()))
        socket.once('close', () => retirements.delete(socket))
      }
      callback(null, socket)
    })
  }

  // A pool does not tell which of its connections it will take; while one of them is about to end, each is the last.
  const retiring = () => {
    const now = clock()
    for (const retireAt of retirements.values()) if (now >= retireAt) return true
    return false
  }

  const retire: UndiciConnector['retire'] = (dispatch) => (options, handler) =>
    dispatch(retiring() ? { ...options, reset: true } : options, handler)

  return Object.assign(connect, { retire })
}
