import { readFile, stat } from 'node:fs/promises'
import { type Clock, HttpError } from '@hallpass/service-kit'
import { type KeyFinder, parseJwks, type VerificationKey } from '@hallpass/tokens'
import { readJson } from '@hallpass/untrusted/json'
import type { Caller } from './caller.ts'

/** How often a callee looks whether a key was withdrawn; a new one it sees when a token names it. */
const RECHECK_MS = 1_000

/**
 * Returns the keys that a caller publishes in a file, which is read again when the file has changed and a token names a key that is not known yet. To
 * look costs a `stat`, so a flood of invented names costs little, and a rotation counts with its first token.
 */
export function publishedKeys(
  { keySetFile, keysMissing }: Pick<Caller, 'keySetFile' | 'keysMissing'>,
  stateFolder: string,
  clock: Clock,
): KeyFinder {
  const file = keySetFile(stateFolder)
  let keys: ReadonlyMap<string, VerificationKey> = new Map()
  let version = ''
  let checkedAt = Number.NEGATIVE_INFINITY
  let checking: Promise<void> | undefined

  async function check() {
    checkedAt = clock()
    const found = await stat(file).catch(() => undefined)
    if (!found) throw keysMissing()
    const seen = `${found.ino} ${found.mtimeMs} ${found.size}`
    if (seen === version) return
    try {
      const set = parseJwks(readJson(await readFile(file, 'utf8')))
      keys = new Map(set.map((key) => [key.kid, key]))
      version = seen
    } catch (cause) {
      // The last good set stays, whatever somebody has put in its place.
      if (keys.size === 0) throw new HttpError(503, 'keys_unusable', `${file} is no key set.`, { cause })
    }
  }

  async function find(kid: string): Promise<VerificationKey | undefined> {
    checking ??= check().finally(() => {
      checking = undefined
    })
    await checking
    return keys.get(kid)
  }

  return (_issuer, kid) => {
    if (kid === undefined) return undefined
    return keys.has(kid) && clock() - checkedAt < RECHECK_MS ? keys.get(kid) : find(kid)
  }
}
