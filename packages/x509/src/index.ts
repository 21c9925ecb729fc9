export { DerError } from './der/index.ts'
export type { KeyUsage } from './key-usage.ts'
export { EXTENDED_KEY_USAGE } from './oids.ts'
export { findPath, PathError, type PathErrorCode } from './path.ts'
export {
  type Certificate,
  type DistinguishedName,
  type GeneralName,
  type NameConstraints,
  parseCertificate,
  parseCertificates,
  parseDistinguishedName,
  parsePemCertificates,
  readDistinguishedName,
  toPem,
  uriNames,
} from './read/index.ts'
export {
  authorityKeyIdentifier,
  basicConstraints,
  type CertificateIssuer,
  extendedKeyUsage,
  keyIdentifierOf,
  keyUsage,
  type Name,
  subjectAltName,
  subjectKeyIdentifier,
  writeCertificate,
  writeName,
} from './write/index.ts'
