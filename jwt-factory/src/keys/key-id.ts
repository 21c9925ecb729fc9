import { badRequest, type HttpError } from '@hallpass/service-kit'
import type { Request } from 'express'

/** A key ID is part of file names, kids and log lines, so only safe characters are allowed. */
export const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/

/**
 * Returns the key ID in a request's path.
 * @throws {HttpError} 400 `invalid_key_id`
 */
export function keyIdOf(request: Request): string {
  const { keyId } = request.params
  if (typeof keyId !== 'string' || !KEY_ID.test(keyId)) throw invalidKeyId()
  return keyId
}

/**
 * Returns the ID of a key to create. Rejects the names of members that every JavaScript object has: our keys are in a
 * Map, where they are harmless, but other users of the IDs may be less careful.
 */
export function newKeyIdOf(request: Request): string {
  const keyId = keyIdOf(request)
  if (isReserved(keyId)) throw invalidKeyId()
  return keyId
}

/** Returns whether no key with this ID can be created. */
export const isReserved = (keyId: string) => keyId in {}

const invalidKeyId = (): HttpError =>
  badRequest(
    'invalid_key_id',
    'A key ID must have 1 to 64 letters, digits, hyphens or underscores, and must not be a reserved name.',
  )
