export { type CertificateIssuer, type Name, writeCertificate, writeName } from './certificate.ts'
export {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyIdentifierOf,
  keyUsage,
  subjectAltName,
  subjectKeyIdentifier,
} from './extensions.ts'
