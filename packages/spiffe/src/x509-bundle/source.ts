import type { TrustDomain } from '../spiffe-id/trust-domain.ts'
import type { X509Bundle } from './bundle.ts'

/** Where the bundles of trust domains come from, asked anew for every peer. */
export interface X509BundleSource {
  /** @throws X509BundleError `bundle_not_found`, or what the source throws when it has nothing to trust */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle
  /** All of them: OpenSSL must be told the authorities before it sees who comes. */
  readonly x509Bundles: readonly X509Bundle[]
}
