import type { TrustDomain } from '../spiffe-id/index.ts'
import type { X509Bundle, X509BundleSource } from './bundle.ts'
import { X509BundleError } from './errors.ts'

/** X.509 bundles by trust domain. They are never merged, or one domain could issue SVIDs for another. */
export class X509BundleSet implements X509BundleSource {
  readonly #bundles: ReadonlyMap<string, X509Bundle>

  constructor(bundles: Iterable<X509Bundle>) {
    this.#bundles = new Map([...bundles].map((bundle) => [bundle.trustDomain.name, bundle]))
  }

  get x509Bundles(): readonly X509Bundle[] {
    return [...this.#bundles.values()]
  }

  has(trustDomain: TrustDomain): boolean {
    return this.#bundles.has(trustDomain.name)
  }

  getX509Bundle(trustDomain: TrustDomain): X509Bundle {
    const bundle = this.#bundles.get(trustDomain.name)
    if (!bundle)
      throw new X509BundleError('bundle_not_found', `no X.509 bundle for trust domain "${trustDomain.name}"`)
    return bundle
  }

  equals(other: X509BundleSet): boolean {
    if (this.#bundles.size !== other.#bundles.size) return false
    return this.x509Bundles.every(
      (bundle) => other.#bundles.get(bundle.trustDomain.name)?.equals(bundle) ?? false,
    )
  }
}
