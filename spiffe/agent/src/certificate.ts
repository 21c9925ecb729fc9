import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto'
import * as der from './der.ts'

/*
 * Writes the two kinds of certificate that a SPIFFE authority needs. It is done here, with node:crypto and the DER
 * encodings beside it, because a general library takes a quarter of a second and 25 MB to load.
 */

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  country: '2.5.4.6',
  organization: '2.5.4.10',
  serialNumber: '2.5.4.5',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/** Bits of KeyUsage, counted from the left (RFC 5280 §4.2.1.3). */
const KEY_USAGE = {
  digitalSignature: 0,
  keyEncipherment: 2,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const

/** A distinguished name as DER; an issuer's must equal its certificate's subject octet by octet. */
export type Name = Buffer

export interface Validity {
  /** Milliseconds since the epoch; a certificate keeps whole seconds. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface Issuer {
  readonly name: Name
  readonly publicKey: KeyObject
  /** An EC P-256 key. */
  readonly privateKey: KeyObject
}

/** The subject of an authority; `serial` tells several authorities of one trust domain apart. */
export const authorityName = (serial: string): Name =>
  name([OID.country, 'US'], [OID.organization, 'SPIFFE'], [OID.serialNumber, serial])

/** The subject of a workload's certificate: its SPIFFE ID stands in the URI SAN, so that this says nothing of it. */
export const workloadName = (firstDnsName?: string): Name =>
  name(
    [OID.country, 'US'],
    [OID.organization, 'SPIRE'],
    ...(firstDnsName ? [[OID.commonName, firstDnsName] as const] : []),
  )

/** A self-signed signing certificate (X.509-SVID §3.1, §4): a CA whose SPIFFE ID is its trust domain. */
export function writeAuthorityCertificate(trustDomain: string, issuer: Issuer, validity: Validity): Buffer {
  return writeCertificate(issuer.name, issuer.publicKey, issuer, validity, [
    keyUsage('keyCertSign', 'cRLSign'),
    extension(OID.basicConstraints, true, der.sequence(der.booleanTrue())),
    subjectKeyIdentifier(issuer.publicKey),
    subjectAlternativeName(`spiffe://${trustDomain}`),
  ])
}

export interface WorkloadCertificate extends Validity {
  readonly spiffeId: string
  readonly dnsNames: readonly string[]
  readonly publicKey: KeyObject
}

/** An X.509-SVID (§3, §4): a leaf with exactly one URI SAN, good for both ends of a TLS connection. */
export function writeWorkloadCertificate(workload: WorkloadCertificate, issuer: Issuer): Buffer {
  const { spiffeId, dnsNames, publicKey } = workload
  return writeCertificate(workloadName(dnsNames[0]), publicKey, issuer, workload, [
    keyUsage('digitalSignature', 'keyEncipherment', 'keyAgreement'),
    extension(OID.extendedKeyUsage, false, der.sequence(der.oid(OID.serverAuth), der.oid(OID.clientAuth))),
    extension(OID.basicConstraints, true, der.sequence()),
    subjectKeyIdentifier(publicKey),
    extension(
      OID.authorityKeyIdentifier,
      false,
      der.sequence(der.implicit(0, keyIdentifier(issuer.publicKey))),
    ),
    subjectAlternativeName(spiffeId, dnsNames),
  ])
}

/** RFC 5280 §4.1: a version 3 certificate, signed with ECDSA and SHA-256. */
function writeCertificate(
  subject: Name,
  publicKey: KeyObject,
  issuer: Issuer,
  { notBefore, notAfter }: Validity,
  extensions: readonly Buffer[],
): Buffer {
  const algorithm = der.sequence(der.oid(OID.ecdsaWithSha256))
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))),
    // Positive, at most 20 octets (§4.1.2.2); 16 random ones are unique without a register.
    der.integer(randomBytes(16)),
    algorithm,
    issuer.name,
    der.sequence(der.time(notBefore), der.time(notAfter)),
    subject,
    spki(publicKey),
    der.explicit(3, der.sequence(...extensions)),
  )
  return der.sequence(toBeSigned, algorithm, der.bitString(sign('sha256', toBeSigned, issuer.privateKey)))
}

function name(...attributes: readonly (readonly [oid: string, value: string])[]): Name {
  return der.sequence(
    ...attributes.map(([type, value]) =>
      der.set(
        der.sequence(
          der.oid(type),
          // RFC 5280 appendix A.1: these two must be PrintableString.
          type === OID.country || type === OID.serialNumber
            ? der.printableString(value)
            : der.utf8String(value),
        ),
      ),
    ),
  )
}

const extension = (type: string, critical: boolean, value: Buffer) =>
  der.sequence(der.oid(type), ...(critical ? [der.booleanTrue()] : []), der.octetString(value))

function keyUsage(...usages: readonly (keyof typeof KEY_USAGE)[]): Buffer {
  const bits = usages.reduce((octet, usage) => octet | (0x80 >> KEY_USAGE[usage]), 0)
  // DER cuts the zero bits at the end of a named bit list (X.690 §11.2.2).
  return extension(OID.keyUsage, true, der.bitString(Buffer.from([bits]), 31 - Math.clz32(bits & -bits)))
}

const subjectAlternativeName = (uri: string, dnsNames: readonly string[] = []) =>
  extension(
    OID.subjectAlternativeName,
    false,
    der.sequence(
      der.implicit(6, Buffer.from(uri, 'latin1')),
      ...dnsNames.map((dnsName) => der.implicit(2, Buffer.from(dnsName, 'latin1'))),
    ),
  )

const subjectKeyIdentifier = (key: KeyObject) =>
  extension(OID.subjectKeyIdentifier, false, der.octetString(keyIdentifier(key)))

/** RFC 7093 §2, method 4: a hash of the whole SubjectPublicKeyInfo. */
const keyIdentifier = (key: KeyObject) => createHash('sha256').update(spki(key)).digest()

const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })
