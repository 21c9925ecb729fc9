import type { SecureContextOptions } from 'node:tls'
import type { Clock } from '../clock.ts'
import type { X509BundleSource } from '../x509-bundle/bundle.ts'
import { type VerifiedPeer, verifyX509Svid } from '../x509-svid/verify.ts'
import type { Authorizer } from './authorizer.ts'

/** Whom to trust and whom to let in. */
export interface Trust {
  readonly bundles: X509BundleSource
  readonly authorizer: Authorizer
  readonly clock: Clock
  /** Intermediates (DER) by which a path may lead where the peer's own cannot be seen; they prove nothing by themselves. */
  readonly intermediates?: () => readonly Uint8Array[]
}

/**
 * The authorities that OpenSSL gets. It knows nothing of trust domains and takes them as one pool, so its verdict
 * is the first line and never the last: {@link verifyAndAuthorize} follows.
 */
export function authoritiesFor({ bundles, authorizer }: Trust): SecureContextOptions {
  const { trustDomain } = authorizer
  const trusted = trustDomain
    ? bundles.x509Bundles.filter((bundle) => bundle.trustDomain.equals(trustDomain))
    : bundles.x509Bundles
  return {
    // An empty list means nobody; an absent one would mean the authorities of the web.
    ca: trusted.map((bundle) => bundle.toPem()).filter((pem) => pem !== ''),
    // A bundle may hold an intermediate as its anchor; OpenSSL alone would insist on a self-signed root.
    allowPartialTrustChain: true,
  } as SecureContextOptions
}

/**
 * The real check of a peer: form, path to its own trust domain's bundle, then the authorizer.
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
