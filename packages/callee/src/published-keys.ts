import { readFile, stat } from 'node:fs/promises'
import { type Clock, HttpError, type UnusableKeys } from '@hallpass/service-kit'
import { type KeyFinder, KeySetError, readKeySet, type VerificationKey } from '@hallpass/tokens'
import { readJson } from '@hallpass/untrusted/json'
import type { Caller } from './caller.ts'

/** How often the file is checked for removed keys; a new key is found as soon as a token uses it. */
const RECHECK_MS = 1_000
/** How long the last valid JWKS is used after its file is gone or has other content: a tool may not replace it atomically. */
const MAX_STALE_MS = 10_000

/**
 * Returns the keys that a caller publishes in a file. The file is reloaded if it has changed and a token uses an
 * unknown key, or is not signed by the key with its `kid`. Checking costs one `stat`, so a flood of made-up key IDs is cheap, and a rotation takes effect with its
 * first token.
 */
export function publishedKeys(
  { keySetFile, keysMissing }: Pick<Caller, 'keySetFile' | 'keysMissing'>,
  stateFolder: string,
  clock: Clock,
  unusable: UnusableKeys,
): KeyFinder {
  const file = keySetFile(stateFolder)
  const onUnusable = unusable.of(file)
  let keys: ReadonlyMap<string, VerificationKey> = new Map()
  let version = ''
  let checkedAt = Number.NEGATIVE_INFINITY
  let validAt = Number.NEGATIVE_INFINITY
  let checking: Promise<void> | undefined

  /** Absolute, so that a clock that is set back does not stop the checks. */
  const ageOf = (time: number) => Math.abs(clock() - time)

  async function check() {
    checkedAt = clock()
    const found = await stat(file).catch(() => undefined)
    const seen = found && `${found.ino} ${found.mtimeMs} ${found.size}`
    if (seen === undefined) return distrust(keysMissing())
    if (seen !== version) {
      try {
        const set = readKeySet(readJson(await readFile(file, 'utf8')))
        onUnusable(set.unusable)
        keys = new Map(set.keys.map((key) => [key.kid, key]))
        version = seen
      } catch (cause) {
        if (cause instanceof KeySetError && cause.unusable.length > 0) onUnusable(cause.unusable)
        return distrust(new HttpError(503, 'keys_unusable', `${file} is not a valid JWKS.`, { cause }))
      }
    }
    validAt = checkedAt
  }

  /** The last valid JWKS stays in use for a while; afterwards, or without one, throws the error. */
  function distrust(error: HttpError) {
    if (ageOf(validAt) < MAX_STALE_MS) return
    keys = new Map()
    version = ''
    throw error
  }

  async function find(kid: string): Promise<VerificationKey | undefined> {
    checking ??= check().finally(() => {
      checking = undefined
    })
    await checking
    return keys.get(kid)
  }

  const known: KeyFinder = (_issuer, kid) => {
    if (kid === undefined) return undefined
    return keys.has(kid) && ageOf(checkedAt) < RECHECK_MS ? keys.get(kid) : find(kid)
  }
  const replaced: KeyFinder['replaced'] = async (_issuer, kid, _alg, rejected) => {
    const key = kid === undefined ? undefined : await find(kid)
    return key?.publicKey.equals(rejected.publicKey) ? undefined : key
  }
  return Object.assign(known, { replaced })
}
