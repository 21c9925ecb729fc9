import { resolve } from 'node:path'
import { type Handler, sendJson } from '@hallpass/service-kit'
import type { SigningKeys } from '../signing-keys.ts'

/** `GET /keys`: lists the keys with which this service signs its tokens, with their states. */
export function listOwnKeys(keys: SigningKeys): Handler {
  return (_request, response) => sendJson(response, 200, { keys: keys.states })
}

/**
 * `POST /gen-keys`: creates a new signing key. With `?missing=1`, which `npm start` uses, only if there is none.
 */
export function genKeys(keys: SigningKeys): Handler {
  return async (request, response) => {
    if (!(request.query.missing && keys.exist)) await keys.rotate()
    sendJson(response, 200, { folder: resolve(keys.folder) })
  }
}
