import { type Handler, sendJson } from '@hallpass/service-kit'
import { callWithToken } from '../call-with-token.ts'
import type { Callee } from '../callees/index.ts'
import { faultOf } from '../fault.ts'
import type { TokenSource } from '../token-source.ts'

/** `GET /scenario1`: the factory signs a token, service A calls B with it, and B calls the factory to verify it. */
export function scenario1(tokens: TokenSource, serviceB: Callee): Handler {
  return async (request, response) => {
    const outcome = await callWithToken(tokens, serviceB, '/scenario1-server', faultOf(request))
    sendJson(response, 200, outcome)
  }
}
