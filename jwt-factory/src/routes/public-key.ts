import { notFound } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import { keyIdOf } from '../key-id.ts'
import type { KeyRing } from '../key-ring.ts'
import type { KeyStore } from '../key-store.ts'
import { sendPublicKey } from './create-key.ts'

/** `GET /utils/publicKey/:keyId`: returns the public half of the signing key. */
export function publicKey(keys: KeyStore): RequestHandler {
  return (request, response) => sendPublicKey(response, existingRing(keys, keyIdOf(request)).signing)
}

/** Returns the keys of a key ID. @throws {HttpError} 404 `key_not_found` */
export function existingRing(keys: KeyStore, keyId: string): KeyRing {
  const ring = keys.get(keyId)
  if (!ring) throw notFound('key_not_found', `Key ${keyId} not found. GET /keys/${keyId} creates it.`)
  return ring
}
