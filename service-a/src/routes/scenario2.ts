import { type Handler, sendJson } from '@hallpass/service-kit'
import { callWithToken } from '../call-with-token.ts'
import type { Callee } from '../callees/index.ts'
import { faultOf } from '../fault.ts'
import type { TokenSource } from '../token-source.ts'

/** `GET /scenario2`: scenario 1 with two concurrent callees, each with its own token; the fault applies only to C's. */
export function scenario2(tokens: TokenSource, serviceB: Callee, serviceC: Callee): Handler {
  return async (request, response) => {
    const path = '/scenario2-server'
    // Before the calls: a rejected request makes none.
    const fault = faultOf(request)
    const [serviceb, servicec] = await Promise.all([
      callWithToken(tokens, serviceB, path, undefined),
      callWithToken(tokens, serviceC, path, fault),
    ])
    sendJson(response, 200, { serviceb, servicec })
  }
}
