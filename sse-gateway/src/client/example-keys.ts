import { join } from 'node:path'
import {
  parseStateFile,
  readIfThere,
  withFolderLock,
  writePrivateFile,
  writePublicFile,
} from '@hallpass/private-files'
import {
  exportPrivatePem,
  generateSigningKey,
  importSigningKey,
  parseJwks,
  publicJwks,
  type SigningKey,
} from '@hallpass/tokens'

export interface ExampleKeys {
  /** `kid` `example`, in `private.pem`, the file name that the documented `jwt` command uses. */
  readonly rs256: SigningKey
  /** `kid` `example_ec`, in `private-ec.pem`. */
  readonly es256: SigningKey
  /** The file with both public keys, for verifiers. */
  readonly jwksFile: string
}

/**
 * Returns the two keys of the documented commands, and creates them on first use. Private files are owner-only (0600).
 * Safe for concurrent processes: one creates the keys, all others read them.
 */
export async function ensureExampleKeys(folder: string): Promise<ExampleKeys> {
  const existing = await readKeys(folder)
  if (existing) return existing
  return withFolderLock(folder, async () => {
    const madeMeanwhile = await readKeys(folder)
    if (madeMeanwhile) return madeMeanwhile
    const rs256 = await generateSigningKey('RS256', 'example')
    const es256 = await generateSigningKey('ES256', 'example_ec')
    const files = filesIn(folder)
    await writePrivateFile(files.rs256, exportPrivatePem(rs256))
    await writePrivateFile(files.es256, exportPrivatePem(es256))
    // Written last, because readers use the keys only if all three files exist.
    await writePublicFile(files.jwks, `${JSON.stringify(publicJwks([rs256, es256]), null, 2)}\n`)
    return { rs256, es256, jwksFile: files.jwks }
  })
}

const filesIn = (folder: string) => ({
  rs256: join(folder, 'private.pem'),
  es256: join(folder, 'private-ec.pem'),
  jwks: join(folder, 'jwks.json'),
})

async function readKeys(folder: string): Promise<ExampleKeys | undefined> {
  const files = filesIn(folder)
  const [rs256, es256, jwks] = await Promise.all([files.rs256, files.es256, files.jwks].map(readIfThere))
  if (rs256 === undefined || es256 === undefined || jwks === undefined) return undefined
  const remedy = `Restore it, or delete ${folder} and restart to create new keys.`
  const read = (file: string, text: string, alg: 'RS256' | 'ES256', kid: string) =>
    parseStateFile(
      file,
      text,
      `a private ${alg} key as PEM`,
      () => importSigningKey(text, { alg, kid }),
      remedy,
    )
  parseStateFile(files.jwks, jwks, 'a valid JWKS', (text) => parseJwks(JSON.parse(text)), remedy)
  return {
    rs256: read(files.rs256, rs256, 'RS256', 'example'),
    es256: read(files.es256, es256, 'ES256', 'example_ec'),
    jwksFile: files.jwks,
  }
}
