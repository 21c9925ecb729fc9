import type { RequestHandler } from 'express'
import type { KeyValues } from '../operators/key-values.ts'

/** `DELETE /api/8/http/keyvals/tokens`: removes all pairs, blocks among them, for all proxies. */
export function emptyZone(tokens: KeyValues): RequestHandler {
  return async (_request, response) => {
    await tokens.clear()
    response.status(204).end()
  }
}
