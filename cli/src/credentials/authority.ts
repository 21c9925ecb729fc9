import { join } from 'node:path'
import { CommandFailure } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import type { Terminal } from '../terminal/index.ts'
import { MAX_AUTHORITIES_BYTES, readSmallFile } from './small-file.ts'

/**
 * Returns the CA certificates of `--ca` as PEM, by default the development CA. Returns undefined, for the system's CAs, if
 * neither exists.
 * @throws {CommandFailure} if the file contains no certificate
 */
export async function readAuthority(ca: string | undefined, terminal: Terminal): Promise<string | undefined> {
  const file = ca ?? join(stateFolder(terminal), 'certificates/ca.pem')
  let pem: string
  try {
    pem = await readSmallFile(file, MAX_AUTHORITIES_BYTES)
  } catch (error) {
    if (ca === undefined) return undefined
    throw error
  }
  // Node would accept a file without certificates and trust no CA.
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new CommandFailure(`${file} contains no PEM certificate.`)
  return pem
}
