import { badRequest, type HttpError } from '@hallpass/service-kit'
import type { Request } from 'express'

/** A key id becomes the name of a file, a part of a kid and a word in logs, so it is a plain word. */
export const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/

/**
 * The key that a request is about.
 * @throws {HttpError} 400 `invalid_key_id`
 */
export function keyIdOf(request: Request): string {
  const { keyId } = request.params
  if (typeof keyId !== 'string' || !KEY_ID.test(keyId)) throw invalidKeyId()
  return keyId
}

/**
 * The same for a key that is to be made: the names that every JavaScript object has are no names for keys. Ours lie in
 * a Map, where they would do no harm, but a reader of the key set may be less careful.
 */
export function newKeyIdOf(request: Request): string {
  const keyId = keyIdOf(request)
  if (keyId in {}) throw invalidKeyId()
  return keyId
}

const invalidKeyId = (): HttpError =>
  badRequest(
    'invalid_key_id',
    'A key id has 1 to 64 letters, digits, hyphens or underscores, and is no reserved word.',
  )
