import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { privateKeyJwt } from '@hallpass/callers'
import { exportPrivatePem, generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'

const FACTORY = 'https://jwt-factory/'
type Client = 'servicea' | 'serviceb' | 'servicec' | 'operator'

const RIGHTS: Readonly<Record<Client, object>> = {
  servicea: { keyId: 'servicea', audiences: ['serviceb', 'servicec'], scopes: ['orders:read'] },
  serviceb: { keyId: 'serviceb' },
  servicec: { keyId: 'servicec' },
  operator: { admin: true },
}

/** The callers of a system that is not open, each with a key of its own, and what the services must be told. */
export class Callers {
  readonly #keys = new Map<Client, SigningKey>()

  /** For `prepare` of the services. */
  prepare = async (stateFolder: string) => {
    const folder = join(stateFolder, 'callers')
    await mkdir(folder, { mode: 0o700 })
    const callers = await Promise.all(
      (Object.keys(RIGHTS) as Client[]).map(async (clientId) => {
        const key = await generateSigningKey('ES256')
        this.#keys.set(clientId, key)
        await writeFile(join(folder, `${clientId}.pem`), exportPrivatePem(key), { mode: 0o600 })
        await writeFile(join(folder, `${clientId}.json`), JSON.stringify(publicJwks([key])))
        return { method: 'private_key_jwt', clientId, jwksFile: `${clientId}.json`, ...RIGHTS[clientId] }
      }),
    )
    const trustFile = join(folder, 'callers.json')
    await writeFile(trustFile, JSON.stringify({ callers }))
    const authenticated = { CALLERS: 'authenticated', TRUSTED_CALLERS_FILE: trustFile }
    const keyOf = (clientId: Client) => ({ CALLER_KEY_FILE: join(folder, `${clientId}.pem`) })
    return {
      'jwt-factory': authenticated,
      'service-a': { ...authenticated, ...keyOf('servicea') },
      'service-b': keyOf('serviceb'),
      'service-c': keyOf('servicec'),
    }
  }

  key(clientId: Client): SigningKey {
    const key = this.#keys.get(clientId)
    if (!key) throw new Error('The callers have not been prepared.')
    return key
  }

  /** The header with which a client proves to a service who it is. */
  as = (clientId: Client, audience = FACTORY): Promise<string> =>
    privateKeyJwt({ clientId, audience, key: this.key(clientId) })()
}
