import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { VerifiedPeer } from '../x509-svid/index.ts'
import { SpiffeTlsError } from './errors.ts'
import { type Trust, verifyAndAuthorize } from './trust.ts'

const PEER = Symbol('verified peer')

/** Longer chains are not plausible; the handshake has already limited their size. */
const MAX_CHAIN_LENGTH = 16

/**
 * Returns the verified peer of a connection, if any. Accepts a TLS socket, `request.socket` or `stream.session.socket`.
 */
export function peerOf(socket: object): VerifiedPeer | undefined {
  // A property instead of a WeakMap, because HTTP/2 exposes its socket through a proxy.
  return (socket as { [PEER]?: VerifiedPeer })[PEER]
}

/**
 * Verifies the peer after the handshake, and stores it for {@link peerOf}.
 *
 * @throws SpiffeTlsError, X509SvidError, or what the authorizer throws
 */
export function verifyPeer(socket: TLSSocket, trust: Trust): VerifiedPeer {
  // A resumed session contains no certificate; the result of its first handshake may be outdated.
  if (socket.isSessionReused())
    throw new SpiffeTlsError('resumed_session', 'a resumed TLS session does not authenticate the peer')
  // Not getPeerX509Certificate: on a client it removes the leaf from the session's chain, so that the next call
  // returns the intermediate instead (seen on Node 20.20).
  const chain = chainOf(socket.getPeerCertificate(true))
  if (chain.length === 0) throw new SpiffeTlsError('no_peer_certificate', 'the peer presented no certificate')
  // Some Node releases show a server only the leaf (nodejs/node#65579). The path must still end at the bundle.
  const known = chain.length === 1 ? (trust.intermediates?.() ?? []) : []
  const peer = verifyAndAuthorize([...chain, ...known], trust)
  Object.defineProperty(socket, PEER, { value: peer })
  return peer
}

/** Returns the peer's certificates as DER, leaf first, up to an authority if OpenSSL found one. */
export function chainOf(presented: DetailedPeerCertificate | object): Uint8Array[] {
  const chain: Buffer[] = []
  let next = presented as DetailedPeerCertificate | undefined
  while (next?.raw && chain.length < MAX_CHAIN_LENGTH && !chain.some((raw) => next?.raw.equals(raw))) {
    chain.push(next.raw)
    next = next.issuerCertificate
  }
  return chain
}
