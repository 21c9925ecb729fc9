import type { TrustDomain } from '../spiffe-id/index.ts'
import type { JwtBundle, JwtBundleSource } from './bundle.ts'
import { JwtBundleError } from './errors.ts'

/** JWT bundles by trust domain; a token is validated only against the bundle of its `sub`. */
export class JwtBundleSet implements JwtBundleSource {
  readonly #bundles: ReadonlyMap<string, JwtBundle>

  constructor(bundles: Iterable<JwtBundle>) {
    this.#bundles = new Map([...bundles].map((bundle) => [bundle.trustDomain.name, bundle]))
  }

  get bundles(): readonly JwtBundle[] {
    return [...this.#bundles.values()]
  }

  has(trustDomain: TrustDomain): boolean {
    return this.#bundles.has(trustDomain.name)
  }

  getJwtBundle(trustDomain: TrustDomain): JwtBundle {
    const bundle = this.#bundles.get(trustDomain.name)
    if (!bundle)
      throw new JwtBundleError('bundle_not_found', `no JWT bundle for trust domain "${trustDomain.name}"`)
    return bundle
  }

  equals(other: JwtBundleSet): boolean {
    if (this.#bundles.size !== other.#bundles.size) return false
    return this.bundles.every(
      (bundle) => other.#bundles.get(bundle.trustDomain.name)?.equals(bundle) ?? false,
    )
  }
}
