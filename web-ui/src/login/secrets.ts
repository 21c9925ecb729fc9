import { readOrCreateSecret } from '@hallpass/private-files'
import type { LoginConfig } from '../config.ts'
import type { ClientAuth } from '../provider/index.ts'
import { newSecret } from '../sessions/index.ts'

export interface Secrets {
  /** Authenticates this service at the provider. */
  readonly clientAuth: ClientAuth
  /** Seals the cookies of pending logins, and the sessions. */
  readonly random: string
}

/** Reads the secrets of the login, from the environment or from files that the first start creates. */
export async function loadSecrets(login: LoginConfig): Promise<Secrets> {
  const { randomSecret, randomSecretFile } = login
  const [clientAuth, random] = await Promise.all([
    clientAuthOf(login),
    randomSecret ?? readOrCreateSecret(randomSecretFile, newSecret),
  ])
  return { clientAuth, random: random.trim() }
}

/** Adds the secret to a method that uses one; only then its file is read or created. */
async function clientAuthOf({
  clientAuth,
  clientSecret,
  clientSecretFile,
}: LoginConfig): Promise<ClientAuth> {
  switch (clientAuth.method) {
    case undefined:
    case 'client_secret_basic':
    case 'client_secret_post': {
      const secret = clientSecret ?? (await readOrCreateSecret(clientSecretFile, newSecret))
      return { method: clientAuth.method, secret: secret.trim() }
    }
    default:
      return clientAuth
  }
}
