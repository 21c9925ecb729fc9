import { type JwtBundle, JwtBundleError, type JwtBundleSource } from '../jwt-bundle/index.ts'
import type { TrustDomain } from '../spiffe-id/index.ts'
import { type X509Bundle, X509BundleError, type X509BundleSource } from '../x509-bundle/index.ts'
import type { SpiffeBundle } from './bundle.ts'

/** SPIFFE bundles by trust domain. */
export class SpiffeBundleSet implements X509BundleSource, JwtBundleSource {
  readonly #bundles: ReadonlyMap<string, SpiffeBundle>

  constructor(bundles: Iterable<SpiffeBundle>) {
    this.#bundles = new Map([...bundles].map((bundle) => [bundle.trustDomain.name, bundle]))
  }

  get bundles(): readonly SpiffeBundle[] {
    return [...this.#bundles.values()]
  }

  get x509Bundles(): readonly X509Bundle[] {
    return this.bundles.map(({ x509 }) => x509)
  }

  getX509Bundle({ name }: TrustDomain): X509Bundle {
    const bundle = this.#bundles.get(name)
    if (!bundle) throw new X509BundleError('bundle_not_found', `no X.509 bundle for trust domain "${name}"`)
    return bundle.x509
  }

  getJwtBundle({ name }: TrustDomain): JwtBundle {
    const bundle = this.#bundles.get(name)
    if (!bundle) throw new JwtBundleError('bundle_not_found', `no JWT bundle for trust domain "${name}"`)
    return bundle.jwt
  }
}
