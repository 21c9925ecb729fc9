import type { RequestHandler } from 'express'
import type { KeyValues } from '../operators/index.ts'

/** Handles `DELETE /api/8/http/keyvals/tokens`: removes all pairs, including blocks, at all proxies. */
export function emptyZone(tokens: KeyValues): RequestHandler {
  return async (_request, response) => {
    await tokens.clear()
    response.status(204).end()
  }
}
