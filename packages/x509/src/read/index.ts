export { type Certificate, parseCertificate, parseCertificates, uriNames } from './certificate.ts'
export {
  type DistinguishedName,
  parseDistinguishedName,
  readDistinguishedName,
} from './distinguished-name.ts'
export { brokenConstraint, type GeneralName, type NameConstraints } from './names.ts'
export { parsePemCertificates, toPem } from './pem.ts'
