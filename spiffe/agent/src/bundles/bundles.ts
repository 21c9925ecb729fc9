import { JwtBundle, SpiffeBundle, type TrustDomain, X509Bundle, X509BundleSet } from '@hallpass/spiffe'
import type { Authorities } from '../authorities/authorities.ts'
import { workloadApiJwk } from '../authorities/jwt-authority.ts'
import type { Entry } from '../entries/entries.ts'

/** What is trusted: the authorities of our own trust domain, and those of the domains that it federates with. */
export class Bundles {
  readonly trustDomain: TrustDomain
  readonly #authorities: Authorities
  readonly #refreshHintSeconds: number
  readonly #federated = new Map<string, SpiffeBundle>()
  #own: SpiffeBundle | undefined

  /** @param refreshHintSeconds how soon a foreign agent should look for a new bundle of ours. */
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

  /** Keeps a foreign bundle; true when it is another than before. */
  setFederated(bundle: SpiffeBundle): boolean {
    const { name } = bundle.trustDomain
    if (name === this.trustDomain.name) throw new Error('a foreign bundle must not take the place of our own')
    const same = this.#federated.get(name)?.equals(bundle) === true
    this.#federated.set(name, bundle)
    return !same
  }

  /** Forgets the bundles of all trust domains but these; true when there were others. */
  keepFederated(names: readonly string[]): boolean {
    const others = [...this.#federated.keys()].filter((name) => !names.includes(name))
    for (const name of others) this.#federated.delete(name)
    return others.length > 0
  }

  get federated(): readonly SpiffeBundle[] {
    return [...this.#federated.values()]
  }

  /** The foreign bundles that a workload with these entries gets. */
  federatedFor(entries: readonly Entry[]): SpiffeBundle[] {
    const names = new Set(entries.flatMap(({ federatesWith }) => federatesWith))
    return [...names].flatMap((name) => this.#federated.get(name) ?? [])
  }

  /** All bundles, to verify the endpoints of foreign ones with. */
  asSource(): X509BundleSet {
    return new X509BundleSet([this.own, ...this.#federated.values()].map(({ x509 }) => x509))
  }

  /** For validation: our own or a federated bundle, by the trust domain of the token and by nothing else. */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle {
    const bundle = this.trustDomain.equals(trustDomain) ? this.own : this.#federated.get(trustDomain.name)
    return (bundle ?? this.own).getJwtBundle(trustDomain)
  }
}

/** A bundle on the wire of the Workload API: DER certificates one after the other, and a JWK set as JSON. */
export const x509Bytes = (bundle: SpiffeBundle): Buffer => bundle.x509.toDer()
export const jwksBytes = (bundle: SpiffeBundle): Buffer => Buffer.from(JSON.stringify(bundle.jwt.toJwks()))
