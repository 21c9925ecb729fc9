import { sendJson } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { KeyStore } from '../key-store.ts'

/** `GET /utils/keys`: the key ids that this instance knows. */
export function listKeys(keys: KeyStore): RequestHandler {
  return (_request, response) => sendJson(response, 200, keys.keyIds)
}
