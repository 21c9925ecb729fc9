import type { JwtFactoryClient } from '@hallpass/jwt-factory/client'
import { type Handler, sendJson } from '@hallpass/service-kit'
import type { Callee } from '../callee.ts'
import { faultOf } from '../fault.ts'
import { callWithFactoryToken } from './scenario1.ts'

/** `GET /scenario2`: scenario 1 with two callees at the same time, each with a token of its own; C's can be a bad one. */
export function scenario2(factory: JwtFactoryClient, serviceB: Callee, serviceC: Callee): Handler {
  return async (request, response) => {
    const path = '/scenario2-server'
    const [serviceb, servicec] = await Promise.all([
      callWithFactoryToken(factory, serviceB, path, undefined),
      callWithFactoryToken(factory, serviceC, path, faultOf(request)),
    ])
    sendJson(response, 200, { serviceb, servicec })
  }
}
