import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { type SecureContextOptions, type Server, TLSSocket, type TlsOptions } from 'node:tls'
import { type Clock, systemClock } from '../clock.ts'
import type { X509BundleSource } from '../x509-bundle/index.ts'
import type { X509SvidSource } from '../x509-svid/index.ts'
import type { Authorizer } from './authorizer.ts'
import { endAtExpiry } from './expiry.ts'
import { verifyPeer } from './peer.ts'
import { authoritiesFor, type Trust } from './trust.ts'

/** What a TLS server presents, and which clients it accepts. */
export interface ServerSecurity {
  /** For `https.createServer`, `tls.createServer` or `http2.createSecureServer`; they have no effect without {@link guard}. */
  readonly options: TlsOptions
  /**
   * Makes a server present the current SVID in every handshake, and verifies every client before any other listener sees the
   * connection. Without it, the server has no certificate and every handshake fails.
   */
  guard<S extends Server>(server: S): S
}

export interface ServerSecurityOptions {
  readonly clock?: Clock
  /** Receives the reason when a connection is rejected. */
  readonly onRefused?: (error: Error) => void
  /** Closes connections when the client's SVID expires; true by default. */
  readonly endAtExpiry?: boolean
}

/** Presents the workload's own SVID and requests no client certificate: for clients that send a JWT-SVID or nothing. */
export function tlsServer(source: X509SvidSource, options: ServerSecurityOptions = {}): ServerSecurity {
  return createSecurity(svidOf(source), undefined, options)
}

/** Presents the workload's own SVID and requires a client SVID that the authorizer accepts. */
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
      // Workloads of one trust domain often have SVIDs from the same intermediate.
      intermediates: () =>
        source
          .getX509Svid()
          .certificates.slice(1)
          .map(({ raw }) => raw),
    },
    options,
  )
}

/** Presents a Web PKI certificate and requires a client SVID that the authorizer accepts. */
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

/** Options of the server's first and all later secure contexts. */
const BASE: SecureContextOptions & TlsOptions = {
  minVersion: 'TLSv1.2',
  // Trust only the bundles' authorities; by default Node would load all Web PKI roots at each rotation.
  ca: [],
  // No session tickets: a resumed session would skip the check of the client, even after a change of the bundle.
  secureOptions: constants.SSL_OP_NO_TICKET,
}

/**
 * Sets the option on the native context, because `setSecureContext` drops it (Node 20.20, 22.21). Where that is not possible,
 * only clients whose bundle has an intermediate as trust anchor are rejected.
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
        // Without a valid SVID, reject the connection; do not present an expired one.
        onRefused(error as Error)
        socket.destroy()
      }
    })
    // Prepended, so that a rejected client never reaches the HTTP parser.
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
