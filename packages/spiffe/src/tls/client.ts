import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../clock.ts'
import type { X509BundleSource } from '../x509-bundle/bundle.ts'
import type { X509SvidSource } from '../x509-svid/svid.ts'
import type { Authorizer } from './authorizer.ts'
import { endAtExpiry } from './expiry.ts'
import { chainOf, peerOf, verifyPeer } from './peer.ts'
import { authoritiesFor, type Trust, verifyAndAuthorize } from './trust.ts'

/** How a TLS client connects: what it presents, and whom it believes. */
export interface ClientSecurity {
  /**
   * Connects, with the SVID and the bundles of this moment. `secureConnect` comes only when the server has been
   * verified and authorized; else there is an `error`.
   *
   * @throws SourceError when there is nothing to present or nobody to trust
   */
  connect(target: ConnectionOptions): TLSSocket
  /** When the connection ends with the certificates that it rests on; Infinity if they are not of SPIFFE. */
  expiresAt(socket: TLSSocket): number
}

export interface ClientSecurityOptions {
  readonly clock?: Clock
  /** Ends connections when an SVID that they rest on does; on unless switched off. */
  readonly endAtExpiry?: boolean
}

/** Believes a server with an SVID that the authorizer accepts, and presents nothing. */
export function tlsClient(
  bundles: X509BundleSource,
  authorizer: Authorizer,
  options: ClientSecurityOptions = {},
): ClientSecurity {
  return createSecurity(undefined, { bundles, authorizer, clock: options.clock ?? systemClock }, options)
}

/** Believes a server with an SVID that the authorizer accepts, and presents one's own. */
export function mtlsClient(
  source: X509SvidSource & X509BundleSource,
  authorizer: Authorizer,
  options: ClientSecurityOptions = {},
): ClientSecurity {
  return createSecurity(source, { bundles: source, authorizer, clock: options.clock ?? systemClock }, options)
}

/** Believes a server with a certificate of the web, checked as the web does, and presents one's own SVID. */
export function mtlsWebClient(source: X509SvidSource, options: ClientSecurityOptions = {}): ClientSecurity {
  return createSecurity(source, undefined, options)
}

function createSecurity(
  svidSource: X509SvidSource | undefined,
  trust: Trust | undefined,
  { clock = systemClock, endAtExpiry: ends = true }: ClientSecurityOptions,
): ClientSecurity {
  const ownExpiry = new WeakMap<TLSSocket, number>()

  function connectNow(target: ConnectionOptions): TLSSocket {
    const own = svidSource?.getX509Svid()
    const options: ConnectionOptions = {
      ...target,
      ...(own && { cert: own.toPem(), key: own.privateKeyPem() }),
      ...(trust && {
        ...authoritiesFor(trust),
        checkServerIdentity: (_, presented) => check(presented, trust),
      }),
      servername: serverName(target),
      minVersion: target.minVersion === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2',
      rejectUnauthorized: true,
    }
    // A session that is resumed is not checked at all, whoever offers it.
    delete options.session
    delete options.secureContext
    const socket = connect(options)
    if (own) ownExpiry.set(socket, own.expiresAt)
    socket.prependOnceListener('secureConnect', () => {
      try {
        if (trust) verifyPeer(socket, trust)
        if (ends && Number.isFinite(expiresAt(socket))) endAtExpiry(socket, expiresAt(socket), clock, true)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
    return socket
  }

  function expiresAt(socket: TLSSocket): number {
    const peer = peerOf(socket)
    const peerExpiry = peer ? (peer.path[0]?.notAfter ?? 0) + 1000 : Number.POSITIVE_INFINITY
    return Math.min(peerExpiry, ownExpiry.get(socket) ?? Number.POSITIVE_INFINITY)
  }

  return { connect: connectNow, expiresAt }
}

/** Runs inside the handshake, before a byte of the application leaves: SPIFFE in the place of the host name. */
function check(presented: object, trust: Trust): Error | undefined {
  try {
    verifyAndAuthorize(chainOf(presented), trust)
    return undefined
  } catch (error) {
    return error as Error
  }
}

/** RFC 6066 §3: an address is no server name, and Node warns if it is sent as one. */
function serverName({ servername, host }: ConnectionOptions): string {
  const name = servername ?? host ?? ''
  return isIP(name) === 0 ? name : ''
}
