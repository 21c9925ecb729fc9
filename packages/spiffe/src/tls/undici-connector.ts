import type { TLSSocket } from 'node:tls'
import type { ClientSecurity } from './client.ts'

interface UndiciTarget {
  readonly hostname: string
  readonly port: string
  readonly servername?: string | null
  readonly protocol: string
}

type UndiciCallback = (...result: [null, TLSSocket] | [Error, null]) => void

/** What a target without a port means. */
const HTTPS_PORT = 443

/** How to connect, for undici: `new Agent({ connect: undiciConnector(security) })`. Plain HTTP is refused. */
export function undiciConnector(security: ClientSecurity) {
  return ({ hostname, port, servername, protocol }: UndiciTarget, callback: UndiciCallback): void => {
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
      callback(null, socket)
    })
  }
}
