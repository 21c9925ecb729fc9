import type { Handler } from '@hallpass/service-kit'
import { type KeyStore, keyIdOf } from '../keys/index.ts'
import { sendPublicKey } from './send-public-key.ts'

/** `GET /utils/publicKey/:keyId`: returns the public half of the signing key. */
export function publicKey(keys: KeyStore): Handler {
  return async (request, response) => {
    sendPublicKey(response, (await keys.existing(keyIdOf(request))).signing)
  }
}
