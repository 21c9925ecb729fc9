import { type Handler, sendJson } from '@hallpass/service-kit'
import type { Callee, Outcome } from '../callee.ts'
import { type Fault, faultOf, SOMEBODY_ELSE, tamper } from '../fault.ts'
import type { SigningKeys } from '../signing-keys.ts'

/** `GET /scenario3`: service A signs for itself and calls B over TLS; B verifies with A's public key and asks nobody. */
export function scenario3(keys: SigningKeys, serviceB: Callee): Handler {
  return async (request, response) => {
    sendJson(response, 200, await callWithOwnToken(keys, serviceB, '/scenario3-server', faultOf(request)))
  }
}

/** Scenarios 3 and 4: a token of A's own for this callee alone, then the call; or one of them done wrong. */
export async function callWithOwnToken(
  keys: SigningKeys,
  callee: Callee,
  path: string,
  fault: Fault | undefined,
): Promise<Outcome> {
  if (fault === 'no-token') return callee.call(path, undefined)
  const audience = fault === 'wrong-audience' ? SOMEBODY_ELSE : callee.name
  const token = await keys.sign(audience, {
    expired: fault === 'expired',
    strangerKey: fault === 'wrong-key',
  })
  return callee.call(path, fault === 'tampered' ? tamper(token) : token)
}
