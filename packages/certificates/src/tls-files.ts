import { readPresent } from '@hallpass/private-files'
import { ensureDevelopmentCertificates } from './development.ts'
import { readCertificate, readKeyOf } from './read-pair.ts'

export interface TlsFilesOptions {
  readonly stateFolder: string
  readonly tls: {
    readonly certFile: string
    readonly keyFile: string
    /** Whether the files are made when they are missing; true on a development start alone. */
    readonly selfMade: boolean
  }
}

/**
 * The certificate and the key of a TLS listener, read when it starts.
 * @throws {StateFileError} as {@link readTlsFiles} does.
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
 * @throws {StateFileError} when a file is missing or is none, or the key is that of another certificate.
 */
export async function readTlsFiles({
  certFile,
  keyFile,
}: {
  readonly certFile: string
  readonly keyFile: string
}): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([readPresent(certFile), readPresent(keyFile)])
  const remedy = 'Restore it, or name other files with CERT_FILE and KEY_FILE.'
  readKeyOf(readCertificate(certFile, cert, remedy), keyFile, key, remedy)
  return { cert, key }
}

/**
 * Reads the certificates that a peer's must be signed by, as PEM.
 * @throws {StateFileError} when the file is missing or is none.
 */
export async function readCaFile(file: string): Promise<string> {
  const pem = await readPresent(file)
  readCertificate(file, pem, 'Restore it, or name another file.')
  return pem
}
