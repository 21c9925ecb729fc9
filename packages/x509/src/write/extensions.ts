import { createHash, type KeyObject } from 'node:crypto'
import * as der from '../der/index.ts'
import { KEY_USAGES, type KeyUsage } from '../key-usage.ts'
import { EXTENSION } from '../oids.ts'

/** Writes an extension (RFC 5280 §4.2) with an encoded value. */
export const extension = (oid: string, critical: boolean, value: Buffer): Buffer =>
  der.sequence(der.oid(oid), ...(critical ? [der.booleanTrue()] : []), der.octetString(value))

/** Writes basic constraints: with an argument for a CA (`pathLength` limits the CAs below it), without one for a leaf. */
export const basicConstraints = (authority?: { readonly pathLength?: number }): Buffer =>
  extension(
    EXTENSION.basicConstraints,
    true,
    der.sequence(
      ...(authority ? [der.booleanTrue()] : []),
      ...(authority?.pathLength === undefined ? [] : [der.integer(Buffer.from([authority.pathLength]))]),
    ),
  )

export function keyUsage(...usages: readonly KeyUsage[]): Buffer {
  const bits = usages.reduce((octet, usage) => octet | (0x80 >> KEY_USAGES.indexOf(usage)), 0)
  // DER omits trailing zero bits of a named bit list (X.690 §11.2.2).
  return extension(
    EXTENSION.keyUsage,
    true,
    der.bitString(Buffer.from([bits]), 31 - Math.clz32(bits & -bits)),
  )
}

export const extendedKeyUsage = (...purposes: readonly string[]): Buffer =>
  extension(EXTENSION.extendedKeyUsage, false, der.sequence(...purposes.map(der.oid)))

/** The names of a subject alternative name; IP addresses as 4 or 16 octets. */
export interface AlternativeNames {
  readonly uris?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly Uint8Array[]
}

export const subjectAltName = ({ uris = [], dnsNames = [], ipAddresses = [] }: AlternativeNames): Buffer =>
  extension(
    EXTENSION.subjectAltName,
    false,
    der.sequence(
      ...uris.map((uri) => der.implicit(6, Buffer.from(uri, 'latin1'))),
      ...dnsNames.map((dnsName) => der.implicit(2, Buffer.from(dnsName, 'latin1'))),
      ...ipAddresses.map((address) => der.implicit(7, address)),
    ),
  )

export const subjectKeyIdentifier = (identifier: Uint8Array): Buffer =>
  extension(EXTENSION.subjectKeyIdentifier, false, der.octetString(identifier))

/** @param identifier the subject key identifier of the issuer's certificate; verifiers can compare the two. */
export const authorityKeyIdentifier = (identifier: Uint8Array): Buffer =>
  extension(EXTENSION.authorityKeyIdentifier, false, der.sequence(der.implicit(0, identifier)))

/** Returns an identifier for a new certificate: a hash of the whole SubjectPublicKeyInfo (RFC 7093 §2, method 4). */
export const keyIdentifierOf = (key: KeyObject): Buffer =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
