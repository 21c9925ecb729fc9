import { createHash, X509Certificate } from 'node:crypto'

/** Returns the argument that makes Chromium trust one certificate, by its public key, since it does not know the development CA. */
export function trustCertificate(pem: string): string {
  const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  return `--ignore-certificate-errors-spki-list=${createHash('sha256').update(key).digest('base64')}`
}
