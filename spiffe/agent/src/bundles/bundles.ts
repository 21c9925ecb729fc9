import { JwtBundle, SpiffeBundle, type TrustDomain, X509Bundle, X509BundleSet } from '@hallpass/spiffe'
import { type Authorities, workloadApiJwk } from '../authorities/index.ts'
import type { Entry } from '../entries/index.ts'

/** The bundles of our own trust domain and of the domains that it federates with. */
export class Bundles {
  readonly trustDomain: TrustDomain
  readonly #authorities: Authorities
  readonly #refreshHintSeconds: number
  readonly #federated = new Map<string, SpiffeBundle>()
  #own: SpiffeBundle | undefined

  /** @param refreshHintSeconds how often other agents should fetch our bundle. */
  constructor(trustDomain: TrustDomain, authorities: Authorities, refreshHintSeconds: number) {
    this.trustDomain = trustDomain
    this.#refreshHintSeconds = refreshHintSeconds
    this.#authorities = authorities
  }

  get own(): SpiffeBundle {
    const { sequence, x509, jwt } = this.#authorities
    if (this.#own?.sequence !== sequence)
      this.#own = new SpiffeBundle({
        x509: X509Bundle.ofDer(
          this.trustDomain,
          Buffer.concat(x509.published.map(({ certificate }) => certificate)),
        ),
        jwt: JwtBundle.ofJwks(this.trustDomain, { keys: jwt.published.map(workloadApiJwk) }),
        sequence,
        refreshHintSeconds: this.#refreshHintSeconds,
      })
    return this.#own
  }

  /** Stores a federated bundle; returns true if it has changed. */
  setFederated(bundle: SpiffeBundle): boolean {
    const { name } = bundle.trustDomain
    if (name === this.trustDomain.name) throw new Error('a federated bundle must not replace our own')
    const same = this.#federated.get(name)?.equals(bundle) === true
    this.#federated.set(name, bundle)
    return !same
  }

  /** Drops the bundles of all other trust domains; returns true if there were any. */
  keepFederated(names: readonly string[]): boolean {
    const others = [...this.#federated.keys()].filter((name) => !names.includes(name))
    for (const name of others) this.#federated.delete(name)
    return others.length > 0
  }

  get federated(): readonly SpiffeBundle[] {
    return [...this.#federated.values()]
  }

  /** Returns the federated bundles for a workload with these entries. */
  federatedFor(entries: readonly Entry[]): SpiffeBundle[] {
    const names = new Set(entries.flatMap(({ federatesWith }) => federatesWith))
    return [...names].flatMap((name) => this.#federated.get(name) ?? [])
  }

  /** Returns all X.509 bundles, to verify the endpoints of other agents. */
  asSource(): X509BundleSet {
    return new X509BundleSet([this.own, ...this.#federated.values()].map(({ x509 }) => x509))
  }

  /** Returns the bundle for validating a token, only by the token's trust domain. */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle {
    const bundle = this.trustDomain.equals(trustDomain) ? this.own : this.#federated.get(trustDomain.name)
    return (bundle ?? this.own).getJwtBundle(trustDomain)
  }
}

/** The Workload API's encodings of a bundle: concatenated DER certificates, and a JWK Set as JSON. */
export const x509Bytes = (bundle: SpiffeBundle): Buffer => bundle.x509.toDer()
export const jwksBytes = (bundle: SpiffeBundle): Buffer => Buffer.from(JSON.stringify(bundle.jwt.toJwks()))
