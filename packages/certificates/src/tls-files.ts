import { readFile } from 'node:fs/promises'
import { ensureDevelopmentCertificates } from './development.ts'

export interface TlsFilesOptions {
  readonly stateFolder: string
  readonly tls: {
    readonly certFile: string
    readonly keyFile: string
    /** Whether the files are made when they are missing; true on a development start alone. */
    readonly selfMade: boolean
  }
}

/** The certificate and the key of a TLS listener, read when it starts. */
export async function tlsFiles({
  stateFolder,
  tls,
}: TlsFilesOptions): Promise<{ cert: string; key: string }> {
  if (tls.selfMade) await ensureDevelopmentCertificates(stateFolder)
  return { cert: await readFile(tls.certFile, 'utf8'), key: await readFile(tls.keyFile, 'utf8') }
}
