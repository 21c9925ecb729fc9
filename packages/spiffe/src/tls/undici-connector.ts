import type { TLSSocket } from 'node:tls'
import { cappedMs } from '@hallpass/untrusted/timers'
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

export interface UndiciConnectorOptions {
  readonly clock?: Clock
  /** For connecting and the TLS handshake. After that, the connection fails with ETIMEDOUT; 10 seconds by default. */
  readonly timeoutMs?: number
}

/** Used for a target without a port. */
const HTTPS_PORT = 443
/** The default of undici's own connector. */
const CONNECT_TIMEOUT_MS = 10_000

type Dispatch<O, H> = (options: O, handler: H) => boolean

/** A connector for undici: `new Agent({ connect }).compose(connect.retire)`. */
export interface UndiciConnector {
  (target: UndiciTarget, callback: UndiciCallback): void
  /**
   * An interceptor that closes connections after their current request when certificates are about to expire, so that no
   * request is in progress when a connection closes at expiry.
   */
  retire<O extends object, H>(dispatch: Dispatch<O, H>): Dispatch<O, H>
}

/** Makes a connector that connects undici and its `fetch` with SVIDs. Rejects plain HTTP. */
export function undiciConnector(
  security: ClientSecurity,
  { clock = systemClock, timeoutMs = CONNECT_TIMEOUT_MS }: UndiciConnectorOptions = {},
): UndiciConnector {
  const retirements = new Map<TLSSocket, number>()

  function connect({ hostname, port, servername, protocol }: UndiciTarget, callback: UndiciCallback): void {
    if (protocol !== 'https:') {
      callback(new TypeError(`SPIFFE requires TLS, but ${protocol}//${hostname} is not an https URL.`), null)
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
    const timer = setTimeout(() => {
      const what = `connect ETIMEDOUT ${hostname}:${port || HTTPS_PORT}`
      socket.destroy(Object.assign(new Error(what), { code: 'ETIMEDOUT' }))
    }, cappedMs(timeoutMs))
    const onError = (error: Error) => {
      clearTimeout(timer)
      callback(error, null)
    }
    socket.setNoDelay(true)
    socket.once('error', onError)
    socket.once('secureConnect', () => {
      // The check that runs before this listener may have destroyed the socket; 'error' follows.
      if (socket.destroyed) return
      clearTimeout(timer)
      socket.off('error', onError)
      const expiresAt = security.expiresAt(socket)
      if (Number.isFinite(expiresAt)) {
        retirements.set(socket, retirementOf(expiresAt, clock()))
        socket.once('close', () => retirements.delete(socket))
      }
      callback(null, socket)
    })
  }

  // It is unknown which connection the pool will use, so while one is about to expire, every request closes its own.
  const retiring = () => {
    const now = clock()
    for (const retireAt of retirements.values()) if (now >= retireAt) return true
    return false
  }

  const retire: UndiciConnector['retire'] = (dispatch) => (options, handler) =>
    dispatch(retiring() ? { ...options, reset: true } : options, handler)

  return Object.assign(connect, { retire })
}
