import { readOrCreateSecret } from '@hallpass/private-files'
import type { LoginConfig } from './config.ts'
import { newSecret } from './session-store.ts'

/** The secrets of the login, from the environment or from files that the first start creates. */
export class Secrets {
  readonly #login: LoginConfig
  #loaded: { client: string; random: string } | undefined

  constructor(login: LoginConfig) {
    this.#login = login
  }

  async load(): Promise<void> {
    const { clientSecret, clientSecretFile, randomSecret, randomSecretFile } = this.#login
    const [client, random] = await Promise.all([
      clientSecret ?? readOrCreateSecret(clientSecretFile, newSecret),
      randomSecret ?? readOrCreateSecret(randomSecretFile, newSecret),
    ])
    this.#loaded = { client: client.trim(), random: random.trim() }
  }

  /** The client secret at the provider. */
  readonly client = (): string => this.#get().client

  /** Seals the cookies of pending logins. */
  readonly random = (): string => this.#get().random

  #get() {
    if (!this.#loaded) throw new Error('The secrets have not been loaded yet.')
    return this.#loaded
  }
}
