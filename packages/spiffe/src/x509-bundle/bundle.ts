import { type Certificate, parseCertificates, parsePemCertificates, toPem } from '@hallpass/x509'
import { parseTrustDomain, type TrustDomain, type TrustDomainLike } from '../spiffe-id/index.ts'
import { X509BundleError } from './errors.ts'

/** A source of X.509 bundles, called for every peer. */
export interface X509BundleSource {
  /** @throws X509BundleError `bundle_not_found`, or what the source throws if it has no bundles */
  getX509Bundle(trustDomain: TrustDomain): X509Bundle
  /** All bundles: OpenSSL needs the authorities before it knows the peer. */
  readonly x509Bundles: readonly X509Bundle[]
}

/** The X.509 authorities of one trust domain. Immutable. */
export class X509Bundle implements X509BundleSource {
  readonly trustDomain: TrustDomain
  readonly authorities: readonly Certificate[]

  constructor(trustDomain: TrustDomainLike, authorities: readonly Certificate[]) {
    this.trustDomain = parseTrustDomain(trustDomain)
    this.authorities = authorities
  }

  /** Reads concatenated DER certificates; empty input is a bundle that trusts no certificates. */
  static ofDer(trustDomain: TrustDomainLike, der: Uint8Array): X509Bundle {
    try {
      return new X509Bundle(trustDomain, parseCertificates(der))
    } catch (cause) {
      throw new X509BundleError('malformed_bundle', `cannot parse certificate: ${(cause as Error).message}`, {
        cause,
      })
    }
  }

  static ofPem(trustDomain: TrustDomainLike, pem: string): X509Bundle {
    let authorities: Certificate[]
    try {
      authorities = parsePemCertificates(pem)
    } catch (cause) {
      throw new X509BundleError('malformed_bundle', `cannot parse certificate: ${(cause as Error).message}`, {
        cause,
      })
    }
    if (authorities.length === 0) throw new X509BundleError('no_certificates', 'no certificates found')
    return new X509Bundle(trustDomain, authorities)
  }

  toDer(): Buffer {
    return Buffer.concat(this.authorities.map(({ raw }) => raw))
  }

  toPem(): string {
    return this.authorities.map(toPem).join('')
  }

  get x509Bundles(): readonly X509Bundle[] {
    return [this]
  }

  getX509Bundle(trustDomain: TrustDomain): X509Bundle {
    if (this.trustDomain.equals(trustDomain)) return this
    throw new X509BundleError(
      'bundle_not_found',
      `no X.509 bundle found for trust domain: "${trustDomain.name}"`,
    )
  }

  equals(other: X509Bundle): boolean {
    return this.trustDomain.equals(other.trustDomain) && this.toDer().equals(other.toDer())
  }
}
