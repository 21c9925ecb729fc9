import { sendJson } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { Callee, Outcome } from '../callee.ts'
import type { SigningKeys } from '../signing-keys.ts'
import { wantsExpired } from '../wants-expired.ts'

/** `GET /scenario3`: service A signs for itself and calls B over TLS; B verifies with A's public key and asks nobody. */
export function scenario3(keys: SigningKeys, serviceB: Callee): RequestHandler {
  return async (request, response) => {
    sendJson(
      response,
      200,
      await callWithOwnToken(keys, serviceB, '/scenario3-server', wantsExpired(request)),
    )
  }
}

/** Scenarios 3 and 4: a token of A's own for this callee alone, then the call. */
export async function callWithOwnToken(
  keys: SigningKeys,
  callee: Callee,
  path: string,
  expired: boolean,
): Promise<Outcome> {
  return callee.call(path, await keys.sign(callee.name, { expired }))
}
