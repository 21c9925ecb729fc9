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
  /** Milliseconds since the epoch; truncated to whole seconds. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface Issuer extends CertificateIssuer {
  readonly publicKey: KeyObject
}

/** Returns the subject of an authority; `serial` distinguishes the authorities of a trust domain. */
export const authorityName = (serial: string): Name =>
  writeName(['country', 'US'], ['organization', 'SPIFFE'], ['serialNumber', serial])

/** Returns the subject of a workload's certificate. It does not identify the workload: the SPIFFE ID is in the URI SAN. */
export const workloadName = (firstDnsName?: string): Name =>
  writeName(
    ['country', 'US'],
    ['organization', 'SPIRE'],
    ...(firstDnsName ? [['commonName', firstDnsName] as const] : []),
  )

/** Writes a self-signed signing certificate (X509-SVID §3.1, §4): a CA with the SPIFFE ID of its trust domain. */
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

/** Writes an X.509-SVID (§3, §4): a leaf with exactly one URI SAN, for TLS clients and servers. */
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
