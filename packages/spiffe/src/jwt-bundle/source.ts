import type { TrustDomain } from '../spiffe-id/trust-domain.ts'
import type { JwtBundle } from './bundle.ts'

/** Where the JWT authorities of a trust domain come from, asked anew for every token. */
export interface JwtBundleSource {
  /** @throws JwtBundleError `bundle_not_found`, or what the source throws when it has nothing to trust */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle
}
