import { join } from 'node:path'
import { CommandFailure } from './failure.ts'
import { MAX_AUTHORITIES_BYTES, readSmallFile } from './small-file.ts'
import { stateFolder } from './state-folder.ts'
import type { Terminal } from './terminal.ts'

/**
 * The authorities of `--ca` as PEM; without it the development authority, when it is there; else undefined, for what
 * this system trusts.
 * @throws {CommandFailure} when the file that was named has no certificate
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
  // TLS would take a file without one for no authority at all.
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new CommandFailure(`${file} has no certificate in PEM.`)
  return pem
}
