import { type Handler, sendText } from '@hallpass/service-kit'
import type { KeyFiles } from '../key-files.ts'
import type { KeyStore } from '../key-store.ts'

/** `POST /utils/dump` and `POST /dump`: saves all keys for the next start. */
export function dumpKeys(keys: KeyStore, files: KeyFiles): Handler {
  return async (_request, response) => {
    await files.save(keys)
    sendText(response, 200, 'OK')
  }
}
