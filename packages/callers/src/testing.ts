import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportPrivatePem, generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'
import { privateKeyJwt } from './credentials.ts'

/** Callers with their own keys, for tests of a service that authenticates callers. */
export class TestCallers<Name extends string> {
  readonly #rights: Readonly<Record<Name, object>>
  readonly #keys = new Map<string, SigningKey>()
  #folder = ''

  /** @param rights each caller's rights in the trusted-callers file. */
  constructor(rights: Readonly<Record<Name, object>>) {
    this.#rights = rights
  }

  /** Writes the trusted-callers file and the keys below `stateFolder`; returns the variables for the service. */
  async prepare(stateFolder: string): Promise<{ CALLERS: string; TRUSTED_CALLERS_FILE: string }> {
    this.#folder = join(stateFolder, 'callers')
    await mkdir(this.#folder, { mode: 0o700 })
    const callers = await Promise.all(
      Object.entries<object>(this.#rights).map(async ([clientId, rights]) => {
        const key = await generateSigningKey('ES256')
        this.#keys.set(clientId, key)
        await writeFile(this.keyFile(clientId), exportPrivatePem(key), { mode: 0o600 })
        await writeFile(join(this.#folder, `${clientId}.json`), JSON.stringify(publicJwks([key])))
        return { method: 'private_key_jwt', clientId, jwksFile: `${clientId}.json`, ...rights }
      }),
    )
    const trustFile = join(this.#folder, 'callers.json')
    await writeFile(trustFile, JSON.stringify({ callers }))
    return { CALLERS: 'authenticated', TRUSTED_CALLERS_FILE: trustFile }
  }

  /** Returns the value for the `CALLER_KEY_FILE` of a service. */
  keyFile(name: string): string {
    return join(this.#folder, `${name}.pem`)
  }

  key(name: Name): SigningKey {
    const key = this.#keys.get(name)
    if (!key) throw new Error('Call prepare() first.')
    return key
  }

  /** Returns the `Authorization` header with which a caller authenticates to a service. */
  as(name: Name, audience: string): Promise<string> {
    return privateKeyJwt({ clientId: name, audience, key: this.key(name) })()
  }
}
