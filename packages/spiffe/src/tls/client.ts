import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../clock.ts'
import type { X509BundleSource } from '../x509-bundle/index.ts'
import type { X509SvidSource } from '../x509-svid/index.ts'
import type { Authorizer } from './authorizer.ts'
import { endAtExpiry } from './expiry.ts'
import { chainOf, peerOf, verifyPeer } from './peer.ts'
import { authoritiesFor, type Trust, verifyAndAuthorize } from './trust.ts'

/** How a TLS client connects: what it presents, and which servers it trusts. */
export interface ClientSecurity {
  /**
   * Connects with the current SVID and bundles. Emits `secureConnect` only after the server was verified and authorized;
   * otherwise `error`.
   *
   * @throws SourceError if no SVID or bundle is available
   */
  connect(target: ConnectionOptions): TLSSocket
  /** When the first certificate of the connection expires; Infinity if none is an SVID. */
  expiresAt(socket: TLSSocket): number
}

export interface ClientSecurityOptions {
  readonly clock?: Clock
  /** Closes connections when one of their SVIDs expires; true by default. */
  readonly endAtExpiry?: boolean
}

/** Trusts a server with an SVID that the authorizer accepts, and presents no certificate. */
export function tlsClient(
  bundles: X509BundleSource,
  authorizer: Authorizer,
  options: ClientSecurityOptions = {},
): ClientSecurity {
  return createSecurity(undefined, { bundles, authorizer, clock: options.clock ?? systemClock }, options)
}

/** Trusts a server with an SVID that the authorizer accepts, and presents the workload's own SVID. */
export function mtlsClient(
  source: X509SvidSource & X509BundleSource,
  authorizer: Authorizer,
  options: ClientSecurityOptions = {},
): ClientSecurity {
  return createSecurity(source, { bundles: source, authorizer, clock: options.clock ?? systemClock }, options)
}

/** Trusts a server with a Web PKI certificate for its host name, and presents the workload's own SVID. */
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
    // A resumed session would skip the check of the server.
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

/** Verifies the SPIFFE ID instead of the host name. Runs during the handshake, before any application data is sent. */
function check(presented: object, trust: Trust): Error | undefined {
  try {
    verifyAndAuthorize(chainOf(presented), trust)
    return undefined
  } catch (error) {
    return error as Error
  }
}

/** Omits IP addresses, which are not valid server names (RFC 6066 §3): Node would warn. */
function serverName({ servername, host }: ConnectionOptions): string {
  const name = servername ?? host ?? ''
  return isIP(name) === 0 ? name : ''
}
