import type { Handler } from '@hallpass/service-kit'
import { keyIdOf } from '../key-id.ts'
import type { KeyStore } from '../key-store.ts'
import { sendPublicKey } from './send-public-key.ts'

/** `GET /utils/publicKey/:keyId`: returns the public half of the signing key. */
export function publicKey(keys: KeyStore): Handler {
  return (request, response) => sendPublicKey(response, keys.existing(keyIdOf(request)).signing)
}
