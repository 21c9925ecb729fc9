import { explainSecretFile } from '@hallpass/private-files'
import type { VariableReader } from '@hallpass/service-kit'
import { type CredentialConfig, credentialConfig } from '../credentials.ts'

/** Where a configuration says how an issuer is asked: the names of variables, or places in a file. */
export interface IntrospectionNames {
  readonly url: string
  readonly clientSecretFile: string
}

export interface IntrospectionSource {
  readonly url?: string | undefined
  readonly clientSecretFile?: string | undefined
}

/**
 * Checks how an issuer is asked about tokens, and reads the credential without a client secret: `CALLER_KEY_FILE` or
 * `CALLER_TOKEN_FILE`. The URL must be encrypted, the file must be private and not empty, and exactly one credential must be
 * configured.
 */
export function introspectionCredential(
  variables: VariableReader,
  names: IntrospectionNames,
  { url, clientSecretFile }: IntrospectionSource,
): CredentialConfig {
  if (url !== undefined)
    variables.requireEncrypted(
      names.url,
      url,
      'anyone on the network can read the tokens and the credentials of this service that are sent to it',
    )
  const exposed =
    clientSecretFile === undefined
      ? undefined
      : explainSecretFile(clientSecretFile, 'the client secret that the issuer has issued')
  variables.require(exposed === undefined, `${names.clientSecretFile} ${clientSecretFile} ${exposed}`)
  const credential = credentialConfig(variables)
  variables.require(
    (clientSecretFile === undefined) !== (credential.kind === 'none'),
    `Set ${names.clientSecretFile}, CALLER_KEY_FILE or CALLER_TOKEN_FILE: exactly one credential of this service for introspection`,
  )
  return credential
}
