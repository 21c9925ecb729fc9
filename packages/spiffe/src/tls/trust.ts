import type { SecureContextOptions } from 'node:tls'
import type { Clock } from '../clock.ts'
import type { X509BundleSource } from '../x509-bundle/index.ts'
import { type VerifiedPeer, verifyX509Svid } from '../x509-svid/index.ts'
import type { Authorizer } from './authorizer.ts'

/** Which peers to trust and to accept. */
export interface Trust {
  readonly bundles: X509BundleSource
  readonly authorizer: Authorizer
  readonly clock: Clock
  /** Additional intermediates (DER) for building a path if the peer's own are not visible; they are not trusted themselves. */
  readonly intermediates?: () => readonly Uint8Array[]
}

/**
 * Returns the authorities for OpenSSL. OpenSSL does not know trust domains and treats all authorities as one pool, so
 * {@link verifyAndAuthorize} must follow.
 */
export function authoritiesFor({ bundles, authorizer }: Trust): SecureContextOptions {
  const { trustDomain } = authorizer
  const trusted = trustDomain
    ? bundles.x509Bundles.filter((bundle) => bundle.trustDomain.equals(trustDomain))
    : bundles.x509Bundles
  return {
    // An empty list trusts no authorities; a missing one would trust the Web PKI roots.
    ca: trusted.map((bundle) => bundle.toPem()).filter((pem) => pem !== ''),
    // A bundle can have an intermediate as trust anchor; by default OpenSSL requires a self-signed root.
    allowPartialTrustChain: true,
  } as SecureContextOptions
}

/**
 * Verifies a peer: certificate contents, path to the bundle of its own trust domain, then the authorizer.
 *
 * @throws X509SvidError, SpiffeIdMismatch, or what the authorizer throws
 */
export function verifyAndAuthorize(
  chain: readonly Uint8Array[],
  { bundles, authorizer, clock }: Trust,
): VerifiedPeer {
  const peer = verifyX509Svid(chain, bundles, { clock })
  authorizer(peer)
  return peer
}
