import { readCaFile, readTlsFiles } from '@hallpass/certificates'

/** What a TLS connection is made with, as PEM. */
export interface TlsIdentity {
  /** The only CAs to trust; absent: the system's. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface TlsIdentityFiles {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}

/** @throws {StateFileError} if a file is missing or invalid, the key belongs to another certificate or is not private */
export async function readTlsIdentity({ caFile, certFile, keyFile }: TlsIdentityFiles): Promise<TlsIdentity> {
  const [ca, pair] = await Promise.all([
    caFile === undefined ? undefined : readCaFile(caFile),
    certFile === undefined || keyFile === undefined ? undefined : readTlsFiles({ certFile, keyFile }),
  ])
  return { ...(ca === undefined ? {} : { ca }), ...pair }
}
