import { badRequest, type Handler } from '@hallpass/service-kit'
import type { Request } from 'express'
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

/**
 * `POST /keys/:keyId`: creates the pair, or rotates it. Tokens signed with the old key stay valid. With `If-Match: "<kid>"`
 * (RFC 9110 §13.1.1), it rotates only if that key signs: so a rotation can be repeated at any replica until it is known to be
 * done, and is done once.
 */
export function createOrRotateKey(keys: KeyStore, audit: AuditLog): Handler {
  return async (request, response) => {
    const keyId = newKeyIdOf(request)
    const isNew = !(await keys.get(keyId))
    const { signing } = await keys.createOrRotate(keyId, expectedSigningKey(request))
    const action = isNew ? 'key-created' : 'rotated'
    await audit.record({ action, ...askedBy(request), keyId, kid: signing.kid })
    sendPublicKey(response, signing)
  }
}

/**
 * Returns the kids of `If-Match`, of which one must be that of the signing key; undefined if there is no condition.
 * @throws {HttpError} 400 `invalid_precondition`
 */
function expectedSigningKey(request: Request): readonly string[] | undefined {
  const { 'if-match': condition, 'if-none-match': other } = request.headers
  if (other !== undefined)
    throw badRequest('invalid_precondition', 'If-None-Match is not supported here. Use If-Match with a kid.')
  if (condition === undefined) return undefined
  const tags = condition.split(',').map((tag) => /^"([\w-]{1,256})"$/.exec(tag.trim())?.[1])
  if (!tags.every((tag) => tag !== undefined))
    throw badRequest(
      'invalid_precondition',
      'If-Match must be the kid of the signing key in quotes, as in ETag.',
    )
  return tags
}
