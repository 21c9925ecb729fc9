import { type KeyObject, X509Certificate } from 'node:crypto'
import {
  constructed,
  DerError,
  DerReader,
  type Element,
  inside,
  primitive,
  readObjectIdentifier,
  readSmallInteger,
  readTime,
  splitSequences,
  TAG,
} from '../der/index.ts'
import type { KeyUsage } from '../key-usage.ts'
import { EXTENSION, HASH, SIGNATURE } from '../oids.ts'
import {
  readBasicConstraints,
  readExtendedKeyUsages,
  readExtensions,
  readKeyIdentifier,
  readKeyUsages,
} from './extensions.ts'
import { type GeneralName, type NameConstraints, readGeneralNames, readNameConstraints } from './names.ts'

/**
 * The fields of a certificate that RFC 5280 §6 and X509-SVID §4 need, read from its DER. Node's X509Certificate is wrong or
 * ambiguous about them: `ca` is false for cA=true without keyCertSign, `keyUsage` is the extended key usage, and
 * `subjectAltName` is a string that a name with a comma can forge.
 */
export interface Certificate {
  readonly raw: Buffer
  /** Use only to verify signatures, not to read extensions. */
  readonly x509: X509Certificate
  readonly publicKey: KeyObject
  /** Names as DER, for comparison. */
  readonly subject: Buffer
  readonly issuer: Buffer
  readonly subjectIsEmpty: boolean
  /** Milliseconds since the epoch, both inclusive. */
  readonly notBefore: number
  readonly notAfter: number
  readonly signatureAlgorithm: string
  readonly names: readonly GeneralName[]
  readonly namesAreCritical: boolean
  readonly isCa: boolean
  readonly maxPathLength: number | undefined
  /** Undefined if the extension is absent. */
  readonly keyUsages: ReadonlySet<KeyUsage> | undefined
  readonly keyUsageIsCritical: boolean
  readonly extendedKeyUsages: readonly string[] | undefined
  readonly nameConstraints: NameConstraints | undefined
  /** The subject key identifier, which certificates that it signs repeat (RFC 5280 §4.2.1.2). */
  readonly keyIdentifier: Buffer | undefined
  /** Unsupported critical extensions; a certificate with any is never accepted. */
  readonly unknownCritical: readonly string[]
}

/** @throws DerError */
export function parseCertificate(der: Uint8Array): Certificate {
  const bytes = Buffer.from(der)
  const outer = new DerReader(bytes)
  const certificate = inside(outer.expect(TAG.sequence))
  outer.end()
  const tbs = inside(certificate.expect(TAG.sequence))
  const algorithm = certificate.expect(TAG.sequence)
  certificate.expect(TAG.bitString)
  certificate.end()

  const version = tbs.optional(constructed(0))
  tbs.expect(TAG.integer)
  // RFC 5280 §4.1.1.2: the signed and the outer algorithm must be equal.
  if (!tbs.expect(TAG.sequence).raw.equals(algorithm.raw))
    throw new DerError('the inner and the outer signature algorithm differ')
  const issuer = tbs.expect(TAG.sequence)
  const validity = inside(tbs.expect(TAG.sequence))
  const notBefore = readTime(validity.next())
  const notAfter = readTime(validity.next())
  validity.end()
  const subject = tbs.expect(TAG.sequence)
  tbs.expect(TAG.sequence)
  tbs.optional(primitive(1))
  tbs.optional(primitive(2))
  const extensionList = tbs.optional(constructed(3))
  tbs.end()
  // RFC 5280 §4.1.2.9; other readers ignore the extensions of an earlier version.
  if (extensionList && !isVersion3(version))
    throw new DerError('a certificate that is not of version 3 has extensions')
  const extensions = readExtensions(extensionList)

  const x509 = readByNode(bytes)
  const names = extensions.take(EXTENSION.subjectAltName)
  const usages = extensions.take(EXTENSION.keyUsage)
  const constraints = readBasicConstraints(extensions.take(EXTENSION.basicConstraints)?.value)
  const extendedUsages = extensions.take(EXTENSION.extendedKeyUsage)
  const nameConstraints = extensions.take(EXTENSION.nameConstraints)
  const keyIdentifier = extensions.take(EXTENSION.subjectKeyIdentifier)
  for (const harmless of [EXTENSION.authorityKeyIdentifier, EXTENSION.certificatePolicies])
    extensions.take(harmless)

  return {
    raw: bytes,
    x509,
    publicKey: x509.publicKey,
    subject: subject.raw,
    issuer: issuer.raw,
    subjectIsEmpty: subject.content.length === 0,
    notBefore,
    notAfter,
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    names: names ? readGeneralNames(names.value) : [],
    namesAreCritical: names?.critical ?? false,
    ...constraints,
    keyUsages: usages && readKeyUsages(usages.value),
    keyUsageIsCritical: usages?.critical ?? false,
    extendedKeyUsages: extendedUsages && readExtendedKeyUsages(extendedUsages.value),
    nameConstraints: nameConstraints && readNameConstraints(nameConstraints.value),
    keyIdentifier: keyIdentifier && readKeyIdentifier(keyIdentifier.value),
    unknownCritical: extensions.criticalLeft(),
  }
}

/** Parses concatenated certificates, as the Workload API sends them. @throws DerError */
export function parseCertificates(der: Uint8Array): Certificate[] {
  return splitSequences(Buffer.from(der)).map(parseCertificate)
}

/** Returns the certificate's URI names, unchanged. */
export const uriNames = (certificate: Certificate): string[] =>
  certificate.names.filter(({ kind }) => kind === 'uri').map(({ value }) => value.toString('latin1'))

function isVersion3(version: Element | undefined): boolean {
  if (!version) return false
  const reader = inside(version)
  const number = readSmallInteger(reader.expect(TAG.integer))
  reader.end()
  return number === 2
}

function readByNode(bytes: Buffer): X509Certificate {
  try {
    const x509 = new X509Certificate(bytes)
    // Read the key here, so that an unknown key type is a parse error and not a crash in a handshake.
    void x509.publicKey
    return x509
  } catch (cause) {
    throw new DerError(`the certificate cannot be read: ${(cause as Error).message}`)
  }
}

/** Reads the algorithm's OID; for RSASSA-PSS also the hash's, which defaults to SHA-1 (RFC 4055 §3.1). */
function readSignatureAlgorithm(element: Element): string {
  const algorithm = inside(element)
  const oid = readObjectIdentifier(algorithm.expect(TAG.objectIdentifier))
  if (oid !== SIGNATURE.rsaPss) return oid
  const parameters = algorithm.optional(TAG.sequence)
  const hash = parameters && inside(parameters).optional(constructed(0))
  if (!hash) return `${oid} ${HASH.sha1}`
  const hashAlgorithm = inside(inside(hash).expect(TAG.sequence))
  return `${oid} ${readObjectIdentifier(hashAlgorithm.expect(TAG.objectIdentifier))}`
}
