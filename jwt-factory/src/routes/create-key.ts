import type { Handler } from '@hallpass/service-kit'
import type { KeyFiles } from '../key-files.ts'
import { newKeyIdOf } from '../key-id.ts'
import type { KeyStore } from '../key-store.ts'
import { sendPublicKey } from './send-public-key.ts'

/** `GET /keys/:keyId`: returns the public key of a key ID; the first call creates the pair. */
export function getOrCreateKey(keys: KeyStore): Handler {
  return async (request, response) => {
    sendPublicKey(response, (await keys.getOrCreate(newKeyIdOf(request))).signing)
  }
}

/** `POST /keys/:keyId`: creates the pair, or rotates it. Tokens signed with the old key stay valid. */
export function createOrRotateKey(keys: KeyStore, files: KeyFiles): Handler {
  return async (request, response) => {
    const ring = await keys.createOrRotate(newKeyIdOf(request))
    const { signing } = ring
    if (files.hasSaved) await files.save(keys)
    sendPublicKey(response, signing)
  }
}
