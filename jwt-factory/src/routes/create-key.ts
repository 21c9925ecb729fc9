import type { Handler } from '@hallpass/service-kit'
import { type AuditLog, askedBy } from '../audit/index.ts'
import { type KeyStore, newKeyIdOf } from '../keys/index.ts'
import { sendPublicKey } from './send-public-key.ts'

/** `GET /keys/:keyId`: returns the public key of a key ID; the first call creates the pair. */
export function getOrCreateKey(keys: KeyStore, audit: AuditLog): Handler {
  return async (request, response) => {
    const keyId = newKeyIdOf(request)
    const isNew = !(await keys.get(keyId))
    const { signing } = await keys.getOrCreate(keyId)
    if (isNew) await audit.record({ action: 'key-created', ...askedBy(request), keyId, kid: signing.kid })
    sendPublicKey(response, signing)
  }
}

/** `POST /keys/:keyId`: creates the pair, or rotates it. Tokens signed with the old key stay valid. */
export function createOrRotateKey(keys: KeyStore, audit: AuditLog): Handler {
  return async (request, response) => {
    const keyId = newKeyIdOf(request)
    const isNew = !(await keys.get(keyId))
    const { signing } = await keys.createOrRotate(keyId)
    const action = isNew ? 'key-created' : 'rotated'
    await audit.record({ action, ...askedBy(request), keyId, kid: signing.kid })
    sendPublicKey(response, signing)
  }
}
