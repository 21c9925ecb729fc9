import type { Handler } from '@hallpass/service-kit'
import type { KeyValues } from '../operators/index.ts'

/** Handles `DELETE /api/8/http/keyvals/tokens`: removes all pairs, including blocks, at all proxies. */
export function emptyZone(tokens: KeyValues): Handler {
  return async (_request, response) => {
    await tokens.clear()
    response.status(204).end()
  }
}
