import { resolve } from 'node:path'
import { sendJson } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { SigningKeys } from '../signing-keys.ts'

/** `GET /keys`: lists the keys with which this service signs its tokens, with their states. */
export function listOwnKeys(keys: SigningKeys): RequestHandler {
  return (_request, response) => sendJson(response, 200, { keys: keys.states })
}

/**
 * `POST /gen-keys`: creates a new signing key. With `?missing=1`, which `npm start` uses, only if there is none.
 */
export function genKeys(keys: SigningKeys): RequestHandler {
  return async (request, response) => {
    if (!(request.query.missing && keys.exist)) await keys.rotate()
    sendJson(response, 200, { folder: resolve(keys.folder) })
  }
}
