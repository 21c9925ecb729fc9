import { type Handler, sendText } from '@hallpass/service-kit'
import type { KeyFiles, KeyStore } from '../keys/index.ts'

/** `POST /utils/dump` and `POST /dump`: writes all keys as PEM files. */
export function dumpKeys(keys: KeyStore, files: KeyFiles): Handler {
  return async (_request, response) => {
    await files.save(keys)
    sendText(response, 200, 'OK')
  }
}
