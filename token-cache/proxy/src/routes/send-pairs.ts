import { once } from 'node:events'
import type { Response } from 'express'

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
