import { StateFileError } from '@hallpass/private-files'
import { type Handler, sendText } from '@hallpass/service-kit'
import { type AuditLog, askedBy } from '../audit/index.ts'
import type { KeyFiles, KeyStore } from '../keys/index.ts'
import { stateUnavailable } from '../state/index.ts'

/** `POST /utils/dump` and `POST /dump`: writes all keys as PEM files. */
export function dumpKeys(keys: KeyStore, files: KeyFiles, audit: AuditLog): Handler {
  return async (request, response) => {
    await files.save(keys).catch((error: unknown) => {
      throw error instanceof StateFileError ? stateUnavailable(error.message, error) : error
    })
    await audit.record({ action: 'dumped', ...askedBy(request) })
    sendText(response, 200, 'OK')
  }
}
