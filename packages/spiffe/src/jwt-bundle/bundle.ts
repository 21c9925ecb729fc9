import { JsonError, readJson } from '@hallpass/untrusted/json'
import { parseTrustDomain, type TrustDomain, type TrustDomainLike } from '../spiffe-id/index.ts'
import { JwtBundleError } from './errors.ts'
import { type JwtAuthority, keysOf, readAuthority, toJwk } from './jwk.ts'

/** The `use` values that a JWT authority can have in the Workload API. */
const USES: ReadonlySet<unknown> = new Set(['jwt-svid', 'sig'])

/** A source of JWT authorities, called for every token. */
export interface JwtBundleSource {
  /** @throws JwtBundleError `bundle_not_found`, or what the source throws if it has no bundles */
  getJwtBundle(trustDomain: TrustDomain): JwtBundle
}

/** The keys that sign JWT-SVIDs of one trust domain. Immutable. */
export class JwtBundle implements JwtBundleSource {
  readonly trustDomain: TrustDomain
  readonly authorities: readonly JwtAuthority[]

  constructor(trustDomain: TrustDomainLike, authorities: readonly JwtAuthority[]) {
    this.trustDomain = parseTrustDomain(trustDomain)
    this.authorities = authorities
  }

  /**
   * Reads a JWK Set, as JSON or parsed. Skips keys for other uses, of unknown types or without a `kid`; an empty set is a
   * bundle that trusts no keys. SPIRE omits `use` from all keys, so it is required only if another key of the set has one
   * (Trust Domain and Bundle §4.2.2).
   *
   * @throws JwtBundleError
   */
  static ofJwks(trustDomain: TrustDomainLike, jwks: unknown): JwtBundle {
    const keys = keysOf(typeof jwks === 'string' ? parseJson(jwks) : jwks)
    if (!keys) throw new JwtBundleError('malformed_bundle', 'unable to parse JWKS: it has no keys member')
    const saysUses = keys.some(({ use }) => use !== undefined)
    const authorities = keys
      .filter(({ use }) => !saysUses || USES.has(use))
      .map(readAuthority)
      .filter((authority) => authority !== undefined)
    return new JwtBundle(trustDomain, authorities)
  }

  toJwks(): { keys: Readonly<Record<string, unknown>>[] } {
    return { keys: this.authorities.map(toJwk) }
  }

  getJwtBundle(trustDomain: TrustDomain): JwtBundle {
    if (this.trustDomain.equals(trustDomain)) return this
    throw new JwtBundleError('bundle_not_found', `no JWT bundle found for trust domain "${trustDomain.name}"`)
  }

  equals(other: JwtBundle): boolean {
    return (
      this.trustDomain.equals(other.trustDomain) &&
      this.authorities.length === other.authorities.length &&
      this.authorities.every((authority, index) => {
        const twin = other.authorities[index]
        return (
          twin?.kid === authority.kid &&
          twin.alg === authority.alg &&
          twin.publicKey.equals(authority.publicKey)
        )
      })
    )
  }
}

function parseJson(text: string): unknown {
  try {
    return readJson(text)
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause
    const why = cause.code === 'malformed_json' ? 'it is not JSON' : cause.message
    throw new JwtBundleError('malformed_bundle', `unable to parse JWKS: ${why}`, { cause })
  }
}
