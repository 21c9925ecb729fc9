import { readOrCreateSecret, readOwnerOnlyFile } from '@hallpass/private-files'
import type { LoginConfig } from '../config.ts'
import type { ClientAuth } from '../provider/index.ts'
import { newSecret } from '../sessions/index.ts'

export interface Secrets {
  /** Authenticates this service at the provider. */
  readonly clientAuth: ClientAuth
  /** Seals the cookies of pending logins, and the sessions. */
  readonly random: string
}

/** Reads the secrets of the login, from the environment or from files. */
export async function loadSecrets(login: LoginConfig): Promise<Secrets> {
  const { randomSecret, randomSecretFile } = login
  const [clientAuth, random] = await Promise.all([
    clientAuthOf(login),
    randomSecret ?? readOrCreateSecret(randomSecretFile, newSecret),
  ])
  return { clientAuth, random: random.trim() }
}

/** Adds the secret to a method that uses one. Only the suite's own is ever created: a provider would not know it. */
async function clientAuthOf({ clientAuth, clientSecret }: LoginConfig): Promise<ClientAuth> {
  switch (clientAuth.method) {
    case undefined:
    case 'client_secret_basic':
    case 'client_secret_post':
      return { method: clientAuth.method, secret: (await textOf(clientSecret)).trim() }
    default:
      return clientAuth
  }
}

function textOf(secret: LoginConfig['clientSecret']): Promise<string> | string {
  if (secret === undefined) throw new Error('A client secret is configured for each method that uses one.')
  if ('text' in secret) return secret.text
  return secret.isSelfMade ? readOrCreateSecret(secret.file, newSecret) : readOwnerOnlyFile(secret.file)
}
