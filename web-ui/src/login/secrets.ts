import { readOrCreateSecret } from '@hallpass/private-files'
import type { LoginConfig } from '../config.ts'
import { newSecret } from '../sessions/index.ts'

export interface Secrets {
  /** Authenticates this service at the provider. */
  readonly client: string
  /** Seals the cookies of pending logins, and the sessions. */
  readonly random: string
}

/** Reads the secrets of the login, from the environment or from files that the first start creates. */
export async function loadSecrets(login: LoginConfig): Promise<Secrets> {
  const { clientSecret, clientSecretFile, randomSecret, randomSecretFile } = login
  const [client, random] = await Promise.all([
    clientSecret ?? readOrCreateSecret(clientSecretFile, newSecret),
    randomSecret ?? readOrCreateSecret(randomSecretFile, newSecret),
  ])
  return { client: client.trim(), random: random.trim() }
}
