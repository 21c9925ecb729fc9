import { join } from 'node:path'
import { HttpError } from '@hallpass/service-kit'

/** The subject of all tokens of service A. */
export const SERVICE_A = 'servicea'
/** The issuer of the tokens that it signs itself (scenarios 3 and 4). */
export const SERVICE_A_ISSUER = 'https://service-issuer'
/** Callees reject tokens with a longer lifetime, so that a stolen token is of little use. */
export const MAX_TOKEN_LIFETIME_SECONDS = 60

/** Where service A publishes its JWKS, the only file that callees read; its private key is next to it or elsewhere. */
export const keysFolderOf = (stateFolder: string) => join(stateFolder, 'scenario-3-keys')
export const keySetFileOf = (stateFolder: string) => join(keysFolderOf(stateFolder), 'jwks.json')

/** Returns the error for missing keys, with the documented command that creates them. */
export function keysMissing(): HttpError {
  const message = `${SERVICE_A} has no signing key yet.`
  const step = 'curl -X POST localhost:3000/gen-keys'
  return new HttpError(503, 'keys_missing', message, {
    body: { error: { code: 'keys_missing', message, step } },
  })
}
