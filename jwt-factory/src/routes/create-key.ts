import type { Handler } from '@hallpass/service-kit'
import { type KeyStore, newKeyIdOf } from '../keys/index.ts'
import { sendPublicKey } from './send-public-key.ts'

/** `GET /keys/:keyId`: returns the public key of a key ID; the first call creates the pair. */
export function getOrCreateKey(keys: KeyStore): Handler {
  return async (request, response) => {
    sendPublicKey(response, (await keys.getOrCreate(newKeyIdOf(request))).signing)
  }
}

/** `POST /keys/:keyId`: creates the pair, or rotates it. Tokens signed with the old key stay valid. */
export function createOrRotateKey(keys: KeyStore): Handler {
  return async (request, response) => {
    sendPublicKey(response, (await keys.createOrRotate(newKeyIdOf(request))).signing)
  }
}
