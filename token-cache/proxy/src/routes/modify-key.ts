import type { Handler } from '@hallpass/service-kit'
import type { Request } from 'express'
import { type KeyValues, keyvalError } from '../operators/index.ts'
import { parseKeyvalBody, requireBlock } from './keyval-body.ts'

/** Handles `PATCH /api/8/http/keyvals/tokens`: `"0"` blocks a key at all proxies, `null` removes it. */
export function modifyKey(tokens: KeyValues): Handler {
  return async (request: Request, response) => {
    const [change, ...more] = parseKeyvalBody(request.body)
    if (!change || more.length > 0) throw keyvalError(400, 'KeyvalFormatError', 'only one key can be updated')
    const { key, value, expire } = change
    if (value !== null) requireBlock(change)
    if (!(await tokens.mayHave(key)))
      throw keyvalError(404, 'KeyvalKeyNotFound', `key ${JSON.stringify(key)} not found`)
    if (value === null) await tokens.remove(key)
    else await tokens.block(key, expire)
    response.status(204).end()
  }
}
