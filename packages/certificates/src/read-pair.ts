import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { parseStateFile, StateFileError } from '@hallpass/private-files'

/** Reads a certificate. @throws {StateFileError} if the file does not contain one. */
export function readCertificate(file: string, pem: string, remedy: string): X509Certificate {
  return parseStateFile(file, pem, 'a certificate as PEM', (text) => new X509Certificate(text), remedy)
}

/**
 * Reads the private key of a certificate.
 * @throws {StateFileError} if it is not a key, or belongs to another certificate.
 */
export function readKeyOf(
  certificate: X509Certificate,
  file: string,
  pem: string,
  remedy: string,
): KeyObject {
  const key = parseStateFile(file, pem, 'a private key as PEM', createPrivateKey, remedy)
  if (!certificate.checkPrivateKey(key))
    throw new StateFileError(file, 'not the private key of its certificate', remedy)
  return key
}
