export { CertificateClients } from './certificate-clients.ts'
export {
  AssertionType,
  type ClientCredential,
  clientCredential,
  severalMethods,
} from './client-credential.ts'
