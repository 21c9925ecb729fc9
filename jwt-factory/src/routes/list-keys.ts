import { type Handler, sendJson } from '@hallpass/service-kit'
import type { KeyStore } from '../key-store.ts'

/** `GET /utils/keys`: returns the key IDs of this instance. */
export function listKeys(keys: KeyStore): Handler {
  return (_request, response) => sendJson(response, 200, keys.keyIds)
}

/** `GET /utils/key-states`: returns every key of every key ID with its state, without private parts. */
export function listKeyStates(keys: KeyStore): Handler {
  return (_request, response) => {
    const all = [...keys.rings].map(({ keyId, states }) => ({ keyId, keys: states }))
    sendJson(response, 200, { keyIds: all.sort((a, b) => a.keyId.localeCompare(b.keyId)) })
  }
}
