import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HttpError } from '@hallpass/service-kit'
import { type Claims, type KeyFinder, parseJwks, type VerificationKey, verifyToken } from '@hallpass/tokens'

/** The name that service A signs with when it signs for itself (scenarios 3 and 4). */
export const SERVICE_A_ISSUER = 'https://service-issuer'
export const SERVICE_A = 'servicea'
/** A callee refuses what lives longer, so that a stolen token is of little use. */
export const MAX_TOKEN_LIFETIME_SECONDS = 60
/** Two clocks of one machine room differ by less. */
const LEEWAY_SECONDS = 5
/** How often a callee looks whether a key was withdrawn; a new one it sees when a token names it. */
const RECHECK_MS = 1_000

/** Where service A keeps its keys. The private one is its own; callees read the key set alone. */
export const keysFolderOf = (stateFolder: string) => join(stateFolder, 'scenario-3-keys')
const keySetFileOf = (stateFolder: string) => join(keysFolderOf(stateFolder), 'jwks.json')

export interface ServiceATokensOptions {
  readonly stateFolder: string
  /** The name of the service that verifies. */
  readonly audience: string
  readonly clock: () => number
}

/** How a callee verifies the tokens that service A signs for itself, with nothing but A's public keys. */
export function serviceATokens({ stateFolder, audience, clock }: ServiceATokensOptions) {
  const keys = publishedKeys(keySetFileOf(stateFolder), clock)
  return {
    /** @throws {TokenError} */
    verify: (token: string): Promise<{ readonly claims: Claims }> =>
      verifyToken(token, {
        issuer: SERVICE_A_ISSUER,
        audience,
        subject: SERVICE_A,
        keys,
        maxLifetimeSeconds: MAX_TOKEN_LIFETIME_SECONDS,
        leewaySeconds: LEEWAY_SECONDS,
        clock,
      }),
  }
}

/**
 * The keys of a key set file, read again when the file has changed and a token names a key that is not known yet. To
 * look costs a `stat`, so a flood of invented names costs little, and a rotation counts with its first token.
 */
function publishedKeys(file: string, clock: () => number): KeyFinder {
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
    const set = parseJwks(JSON.parse(await readFile(file, 'utf8')))
    keys = new Map(set.map((key) => [key.kid, key]))
    version = seen
  }

  return async (_issuer, kid) => {
    if (kid === undefined) return undefined
    if (!keys.has(kid) || clock() - checkedAt > RECHECK_MS) {
      checking ??= check().finally(() => {
        checking = undefined
      })
      await checking
    }
    return keys.get(kid)
  }
}

/** The documented step that was left out, for whoever needs the keys. */
export function keysMissing(serviceAUrl = 'http://localhost:3000'): HttpError {
  const message = `${SERVICE_A} has no key of its own yet.`
  return new HttpError(503, 'keys_missing', message, {
    body: { error: { code: 'keys_missing', message, step: `curl -X POST ${serviceAUrl}/gen-keys` } },
  })
}
