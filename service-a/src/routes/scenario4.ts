import { type Handler, sendJson } from '@hallpass/service-kit'
import { callWithToken } from '../call-with-token.ts'
import type { Callee } from '../callees/index.ts'
import { faultOf } from '../fault.ts'
import type { TokenSource } from '../token-source.ts'

/** `GET /scenario4`: scenario 3 with two concurrent callees, each with its own token. */
export function scenario4(tokens: TokenSource, serviceB: Callee, serviceC: Callee): Handler {
  return async (request, response) => {
    const path = '/scenario4-server'
    const fault = faultOf(request)
    const [outcomeB, outcomeC] = await Promise.all([
      callWithToken(tokens, serviceB, path, fault),
      callWithToken(tokens, serviceC, path, fault),
    ])
    sendJson(response, 200, { serviceB: outcomeB, serviceC: outcomeC })
  }
}
