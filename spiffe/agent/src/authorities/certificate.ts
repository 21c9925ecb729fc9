import type { KeyObject } from 'node:crypto'
import {
  authorityKeyIdentifier,
  basicConstraints,
  type CertificateIssuer,
  EXTENDED_KEY_USAGE,
  extendedKeyUsage,
  keyIdentifierOf,
  keyUsage,
  type Name,
  subjectAltName,
  subjectKeyIdentifier,
  writeCertificate,
  writeName,
} from '@hallpass/x509'

export interface Validity {
  /** Milliseconds since the epoch; a certificate keeps whole seconds. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface Issuer extends CertificateIssuer {
  readonly publicKey: KeyObject
}

/** The subject of an authority; `serial` tells several authorities of one trust domain apart. */
export const authorityName = (serial: string): Name =>
  writeName(['country', 'US'], ['organization', 'SPIFFE'], ['serialNumber', serial])

/** The subject of a workload's certificate: its SPIFFE ID stands in the URI SAN, so that this says nothing of it. */
export const workloadName = (firstDnsName?: string): Name =>
  writeName(
    ['country', 'US'],
    ['organization', 'SPIRE'],
    ...(firstDnsName ? [['commonName', firstDnsName] as const] : []),
  )

/** A self-signed signing certificate (X.509-SVID §3.1, §4): a CA whose SPIFFE ID is its trust domain. */
export function writeAuthorityCertificate(trustDomain: string, issuer: Issuer, validity: Validity): Buffer {
  const extensions = [
    keyUsage('keyCertSign', 'cRLSign'),
    basicConstraints({}),
    subjectKeyIdentifier(keyIdentifierOf(issuer.publicKey)),
    subjectAltName({ uris: [`spiffe://${trustDomain}`] }),
  ]
  return writeCertificate(
    { ...validity, subject: issuer.name, publicKey: issuer.publicKey, extensions },
    issuer,
  )
}

export interface WorkloadCertificate extends Validity {
  readonly spiffeId: string
  readonly dnsNames: readonly string[]
  readonly publicKey: KeyObject
}

/** An X.509-SVID (§3, §4): a leaf with exactly one URI SAN, good for both ends of a TLS connection. */
export function writeWorkloadCertificate(workload: WorkloadCertificate, issuer: Issuer): Buffer {
  const { spiffeId, dnsNames, publicKey } = workload
  const extensions = [
    keyUsage('digitalSignature', 'keyEncipherment', 'keyAgreement'),
    extendedKeyUsage(EXTENDED_KEY_USAGE.serverAuth, EXTENDED_KEY_USAGE.clientAuth),
    basicConstraints(),
    subjectKeyIdentifier(keyIdentifierOf(publicKey)),
    authorityKeyIdentifier(keyIdentifierOf(issuer.publicKey)),
    subjectAltName({ uris: [spiffeId], dnsNames }),
  ]
  return writeCertificate({ ...workload, subject: workloadName(dnsNames[0]), extensions }, issuer)
}
