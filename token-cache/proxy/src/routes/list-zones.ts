import type { Handler } from '@hallpass/service-kit'
import type { KeyValues } from '../operators/index.ts'
import { sendPairs } from './send-pairs.ts'

/** Handles `GET /api/8/http/keyvals/`: returns all zones with their pairs; with an empty `fields`, their names. */
export function listZones(tokens: KeyValues): Handler {
  return async (request, response) => {
    if (request.query.fields === '') return void response.json(['tokens'])
    response.type('json').write('{"tokens":')
    await sendPairs(response, tokens.all())
    response.end('}')
  }
}
