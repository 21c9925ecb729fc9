import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
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
  // Not getPeerX509Certificate: on a client it takes the leaf out of the session's chain, so that whoever calls it
  // next is given the intermediate in its place (seen on Node 20.20).
  const chain = chainOf(socket.getPeerCertificate(true))
  if (chain.length === 0) throw new SpiffeTlsError('no_peer_certificate', 'the peer presented no certificate')
  // Some releases show a server nothing above the leaf (nodejs/node#65579). The path must end in the bundle all the same.
  const known = chain.length === 1 ? (trust.intermediates?.() ?? []) : []
  const peer = verifyAndAuthorize([...chain, ...known], trust)
  Object.defineProperty(socket, PEER, { value: peer })
  return peer
}

/** The certificates of a peer as DER, leaf first, up to an authority if OpenSSL has found one. */
export function chainOf(presented: DetailedPeerCertificate | object): Uint8Array[] {
  const chain: Buffer[] = []
  let next = presented as DetailedPeerCertificate | undefined
  while (next?.raw && chain.length < MAX_CHAIN_LENGTH && !chain.some((raw) => next?.raw.equals(raw))) {
    chain.push(next.raw)
    next = next.issuerCertificate
  }
  return chain
}
