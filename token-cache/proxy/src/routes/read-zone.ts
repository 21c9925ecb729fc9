import { once } from 'node:events'
import type { RequestHandler, Response } from 'express'
import { type KeyValues, keyvalError } from '../operators/index.ts'

/** Handles `GET /api/8/http/keyvals/tokens`: returns all pairs; with `?key=`, one. */
export function readZone(tokens: KeyValues): RequestHandler {
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

/** Streams an object's members at the client's pace, because a store can contain millions. */
export async function sendPairs(
  response: Response,
  pairs: AsyncIterable<readonly [string, string]>,
): Promise<void> {
  let separator = '{'
  for await (const [key, value] of pairs) {
    if (response.destroyed) return
    if (!response.write(`${separator}${JSON.stringify(key)}:${JSON.stringify(value)}`))
      await Promise.race([once(response, 'drain'), once(response, 'close')])
    separator = ','
  }
  response.write(separator === '{' ? '{}' : '}')
}
