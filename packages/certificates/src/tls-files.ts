import { assertPrivate, readPresent } from '@hallpass/private-files'
import { ensureDevelopmentCertificates } from './development.ts'
import { readCertificate, readKeyOf } from './read-pair.ts'

export interface TlsFilesOptions {
  readonly stateFolder: string
  readonly tls: {
    readonly certFile: string
    readonly keyFile: string
    /** Whether missing files are created; true only in development mode. */
    readonly selfMade: boolean
  }
}

/**
 * Returns the certificate and key of a TLS listener; in development mode, creates them first if needed.
 * @throws {StateFileError} like {@link readTlsFiles}.
 */
export async function tlsFiles({
  stateFolder,
  tls,
}: TlsFilesOptions): Promise<{ cert: string; key: string }> {
  if (tls.selfMade) await ensureDevelopmentCertificates(stateFolder)
  return readTlsFiles(tls)
}

/**
 * Reads a certificate and its key.
 * @throws {StateFileError} if a file is missing or invalid, the key belongs to another certificate, or other users have access
 * to it.
 */
export async function readTlsFiles({
  certFile,
  keyFile,
}: {
  readonly certFile: string
  readonly keyFile: string
}): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([readPresent(certFile), readPresent(keyFile)])
  await assertPrivate(keyFile)
  const remedy = 'Restore it, or set CERT_FILE and KEY_FILE to other files.'
  readKeyOf(readCertificate(certFile, cert, remedy), keyFile, key, remedy)
  return { cert, key }
}

/**
 * Reads the CA certificates that verify a peer, as PEM.
 * @throws {StateFileError} if the file is missing or invalid.
 */
export async function readCaFile(file: string): Promise<string> {
  const pem = await readPresent(file)
  readCertificate(file, pem, 'Restore it, or configure another file.')
  return pem
}
