import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { type SecureContextOptions, type Server, TLSSocket, type TlsOptions } from 'node:tls'
import { type Clock, systemClock } from '../clock.ts'
import type { X509BundleSource } from '../x509-bundle/bundle.ts'
import type { X509SvidSource } from '../x509-svid/svid.ts'
import type { Authorizer } from './authorizer.ts'
import { endAtExpiry } from './expiry.ts'
import { verifyPeer } from './peer.ts'
import { authoritiesFor, type Trust } from './trust.ts'

/** What a TLS server presents, and whom it lets in. */
export interface ServerSecurity {
  /** For `https.createServer`, `tls.createServer` or `http2.createSecureServer`; of no use without {@link guard}. */
  readonly options: TlsOptions
  /**
   * Puts the SVID on the server, fresh for every handshake, and checks every client before anything else sees the
   * connection. A server that was not guarded has no certificate and can talk to nobody.
   */
  guard<S extends Server>(server: S): S
}

export interface ServerSecurityOptions {
  readonly clock?: Clock
  /** Hears why a connection was refused. */
  readonly onRefused?: (error: Error) => void
  /** Ends connections when the client's SVID does; on unless switched off. */
  readonly endAtExpiry?: boolean
}

/** Presents one's own SVID and asks clients for nothing: for those who show a JWT-SVID, or none. */
export function tlsServer(source: X509SvidSource, options: ServerSecurityOptions = {}): ServerSecurity {
  return createSecurity(svidOf(source), undefined, options)
}

/** Presents one's own SVID and lets in only who shows one that the authorizer accepts. */
export function mtlsServer(
  source: X509SvidSource & X509BundleSource,
  authorizer: Authorizer,
  options: ServerSecurityOptions = {},
): ServerSecurity {
  return createSecurity(
    svidOf(source),
    {
      bundles: source,
      authorizer,
      clock: options.clock ?? systemClock,
      // Workloads of one trust domain often have theirs from the same intermediate.
      intermediates: () =>
        source
          .getX509Svid()
          .certificates.slice(1)
          .map(({ raw }) => raw),
    },
    options,
  )
}

/** Presents a certificate of the web and lets in only who shows an SVID that the authorizer accepts. */
export function mtlsWebServer(
  webCertificate: () => { readonly cert: string; readonly key: string },
  bundles: X509BundleSource,
  authorizer: Authorizer,
  options: ServerSecurityOptions = {},
): ServerSecurity {
  return createSecurity(webCertificate, { bundles, authorizer, clock: options.clock ?? systemClock }, options)
}

type CertificateSource = () => { readonly cert: string; readonly key: string }

function svidOf(source: X509SvidSource): CertificateSource {
  let known: { svid: object; pems: ReturnType<CertificateSource> } | undefined
  return () => {
    const svid = source.getX509Svid()
    if (known?.svid !== svid) known = { svid, pems: { cert: svid.toPem(), key: svid.privateKeyPem() } }
    return known.pems
  }
}

/** Of every context this server ever has, the first and the later ones. */
const BASE: SecureContextOptions & TlsOptions = {
  minVersion: 'TLSv1.2',
  // Nobody but those that a bundle names; by default Node would read all authorities of the web, at each rotation.
  ca: [],
  // No tickets: a session that is resumed skips the check of the client, and outlives a change of the bundle.
  secureOptions: constants.SSL_OP_NO_TICKET,
}

/**
 * `setSecureContext` forgets the option of this name (Node 20.20, 22.21). It is put back on the context itself;
 * where that is not possible, clients whose bundle has an intermediate as its anchor are refused, and no other.
 */
function allowPartialTrustChain(server: Server): void {
  interface NativeContext {
    setAllowPartialTrustChain?(): void
  }
  const { _sharedCreds } = server as unknown as { _sharedCreds?: { context: NativeContext } }
  _sharedCreds?.context.setAllowPartialTrustChain?.()
}

function createSecurity(
  certificate: CertificateSource,
  trust: Trust | undefined,
  { onRefused = () => {}, endAtExpiry: ends = true, clock = systemClock }: ServerSecurityOptions,
): ServerSecurity {
  const asking = trust !== undefined

  function guard<S extends Server>(server: S): S {
    let applied = ''
    const refresh = () => {
      const { cert, key } = certificate()
      const authorities = trust ? authoritiesFor(trust) : {}
      const wanted = JSON.stringify([cert, authorities.ca])
      if (wanted === applied) return
      server.setSecureContext({ ...BASE, cert, key, ...authorities })
      if (trust) allowPartialTrustChain(server)
      applied = wanted
    }

    server.prependListener('connection', (socket: Socket) => {
      if (socket instanceof TLSSocket) return
      try {
        refresh()
      } catch (error) {
        // Nothing to present: no handshake, rather than one with an identity that has ended.
        onRefused(error as Error)
        socket.destroy()
      }
    })
    // Prepended, so that a refused client never meets the parser of HTTP.
    if (trust)
      server.prependListener('secureConnection', (socket: TLSSocket) => {
        try {
          const { path } = verifyPeer(socket, trust)
          if (ends) endAtExpiry(socket, (path[0]?.notAfter ?? 0) + 1000, clock, false)
        } catch (error) {
          onRefused(error as Error)
          socket.destroy()
        }
      })
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      onRefused(error)
      socket.destroy()
    })
    return server
  }

  return { options: { ...BASE, requestCert: asking, rejectUnauthorized: asking }, guard }
}
