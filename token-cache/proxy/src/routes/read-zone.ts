import type { Handler } from '@hallpass/service-kit'
import { type KeyValues, keyvalError } from '../operators/index.ts'
import { sendPairs } from './send-pairs.ts'

/** Handles `GET /api/8/http/keyvals/tokens`: returns all pairs; with `?key=`, one. */
export function readZone(tokens: KeyValues): Handler {
  return async (request, response) => {
    const { key } = request.query
    if (typeof key !== 'string') {
      response.type('json')
      await sendPairs(response, tokens.all())
      return void response.end()
    }
    const value = await tokens.get(key)
    if (value === undefined)
      throw keyvalError(404, 'KeyvalKeyNotFound', `key ${JSON.stringify(key)} not found`)
    response.json({ [key]: value })
  }
}
