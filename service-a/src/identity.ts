import { join } from 'node:path'
import { HttpError } from '@hallpass/service-kit'

/** The subject of all tokens of service A. */
export const SERVICE_A = 'servicea'
/** The name that it signs with when it signs for itself (scenarios 3 and 4). */
export const SERVICE_A_ISSUER = 'https://service-issuer'
/** A callee refuses what lives longer, so that a stolen token is of little use. */
export const MAX_TOKEN_LIFETIME_SECONDS = 60

/** Where service A publishes its key set, which is all that callees read; its private key is beside it or elsewhere. */
export const keysFolderOf = (stateFolder: string) => join(stateFolder, 'scenario-3-keys')
export const keySetFileOf = (stateFolder: string) => join(keysFolderOf(stateFolder), 'jwks.json')

/** The documented step that was left out, for whoever needs the keys. */
export function keysMissing(): HttpError {
  const message = `${SERVICE_A} has no key of its own yet.`
  const step = 'curl -X POST localhost:3000/gen-keys'
  return new HttpError(503, 'keys_missing', message, {
    body: { error: { code: 'keys_missing', message, step } },
  })
}
