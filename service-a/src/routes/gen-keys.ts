import { resolve } from 'node:path'
import { sendJson } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { SigningKeys } from '../signing-keys.ts'

/** `GET /keys`: the keys with which this service signs for itself, each with the state of its life. */
export function listOwnKeys(keys: SigningKeys): RequestHandler {
  return (_request, response) => sendJson(response, 200, { keys: keys.states })
}

/**
 * `POST /gen-keys`: gives this service a new key to sign with. With `?missing=1` only if it has none, which is what
 * `npm start` asks for.
 */
export function genKeys(keys: SigningKeys): RequestHandler {
  return async (request, response) => {
    if (!(request.query.missing && keys.exist)) await keys.rotate()
    sendJson(response, 200, { folder: resolve(keys.folder) })
  }
}
