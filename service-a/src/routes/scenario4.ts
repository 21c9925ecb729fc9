import { type Handler, sendJson } from '@hallpass/service-kit'
import type { Callee } from '../callee.ts'
import { faultOf } from '../fault.ts'
import type { SigningKeys } from '../signing-keys.ts'
import { callWithOwnToken } from './scenario3.ts'

/** `GET /scenario4`: scenario 3 with two callees at the same time, each with a token of its own. */
export function scenario4(keys: SigningKeys, serviceB: Callee, serviceC: Callee): Handler {
  return async (request, response) => {
    const path = '/scenario4-server'
    const fault = faultOf(request)
    const [outcomeB, outcomeC] = await Promise.all([
      callWithOwnToken(keys, serviceB, path, fault),
      callWithOwnToken(keys, serviceC, path, fault),
    ])
    sendJson(response, 200, { serviceB: outcomeB, serviceC: outcomeC })
  }
}
