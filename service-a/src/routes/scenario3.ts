import { type Handler, sendJson } from '@hallpass/service-kit'
import { callWithToken } from '../call-with-token.ts'
import type { Callee } from '../callees/index.ts'
import { faultOf } from '../fault.ts'
import type { TokenSource } from '../token-source.ts'

/** `GET /scenario3`: service A signs a token and calls B over TLS; B verifies it locally with A's public key. */
export function scenario3(tokens: TokenSource, serviceB: Callee): Handler {
  return async (request, response) => {
    const outcome = await callWithToken(tokens, serviceB, '/scenario3-server', faultOf(request))
    sendJson(response, 200, outcome)
  }
}
