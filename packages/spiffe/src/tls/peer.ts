import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { VerifiedPeer } from '../x509-svid/verify.ts'
import { SpiffeTlsError } from './errors.ts'
import { type Trust, verifyAndAuthorize } from './trust.ts'

const PEER = Symbol('verified peer')

/** More certificates than this are no chain; the handshake has bounded their size already. */
const MAX_CHAIN_LENGTH = 16

/**
 * Who is on the other end of a connection, if it was verified: of a TLS socket, and as well of `request.socket`
 * and `stream.session.socket`.
 */
export function peerOf(socket: object): VerifiedPeer | undefined {
  // A property and no WeakMap, because HTTP/2 shows its socket through a proxy.
  return (socket as { [PEER]?: VerifiedPeer })[PEER]
}

/**
 * Verifies who is on the other end of a finished handshake, and keeps the answer for {@link peerOf}.
 *
 * @throws SpiffeTlsError, X509SvidError, or what the authorizer throws
 */
export function verifyPeer(socket: TLSSocket, trust: Trust): VerifiedPeer {
  // A resumed session brings no certificate along: it would carry on what was true at its first handshake.
  if (socket.isSessionReused())
    throw new SpiffeTlsError('resumed_session', 'a resumed TLS session proves no identity')
  const peer = verifyAndAuthorize(peerCertificates(socket), trust)
  Object.defineProperty(socket, PEER, { value: peer })
  return peer
}

/** The certificates as the peer sent them, leaf first. */
function peerCertificates(socket: TLSSocket): Uint8Array[] {
  const leaf = socket.getPeerX509Certificate()
  if (!leaf) throw new SpiffeTlsError('no_peer_certificate', 'the peer presented no certificate')
  const chain: Uint8Array[] = []
  let next: X509Certificate | undefined = leaf
  while (next && chain.length < MAX_CHAIN_LENGTH) {
    chain.push(next.raw)
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate
  }
  return chain
}
