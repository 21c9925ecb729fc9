import type { JwtFactoryClient } from '@hallpass/jwt-factory/client'
import { sendJson } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { Callee, Outcome } from '../callee.ts'
import { SERVICE_A } from '../identity.ts'
import { wantsExpired } from '../wants-expired.ts'

/** `GET /scenario1`: the factory signs a token for service B, service A calls B with it, B asks the factory about it. */
export function scenario1(factory: JwtFactoryClient, serviceB: Callee): RequestHandler {
  return async (request, response) => {
    sendJson(
      response,
      200,
      await callWithFactoryToken(factory, serviceB, '/scenario1-server', wantsExpired(request)),
    )
  }
}

/** Steps 1 and 2 of scenarios 1 and 2: a token for this callee alone, then the call. */
export async function callWithFactoryToken(
  factory: JwtFactoryClient,
  callee: Callee,
  path: string,
  expired: boolean,
): Promise<Outcome> {
  return callee.call(path, await factory.issueToken(SERVICE_A, { aud: callee.name }, { expired }))
}
