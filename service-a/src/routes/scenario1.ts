import type { JwtFactoryClient } from '@hallpass/jwt-factory/client'
import { type Handler, sendJson } from '@hallpass/service-kit'
import type { Callee, Outcome } from '../callee.ts'
import { type Fault, faultOf, SOMEBODY_ELSE, tamper } from '../fault.ts'
import { SERVICE_A } from '../identity.ts'

/** `GET /scenario1`: the factory signs a token for service B, service A calls B with it, B asks the factory about it. */
export function scenario1(factory: JwtFactoryClient, serviceB: Callee): Handler {
  return async (request, response) => {
    sendJson(
      response,
      200,
      await callWithFactoryToken(factory, serviceB, '/scenario1-server', faultOf(request)),
    )
  }
}

/** The key of another service, which the factory would never sign service A's tokens with. */
const ANOTHER_KEY = 'serviceb'

/** Steps 1 and 2 of scenarios 1 and 2: a token for this callee alone, then the call; or one of them done wrong. */
export async function callWithFactoryToken(
  factory: JwtFactoryClient,
  callee: Callee,
  path: string,
  fault: Fault | undefined,
): Promise<Outcome> {
  if (fault === 'no-token') return callee.call(path, undefined)
  const token = await factory.issueToken(
    fault === 'wrong-key' ? ANOTHER_KEY : SERVICE_A,
    {
      aud: fault === 'wrong-audience' ? SOMEBODY_ELSE : callee.name,
      ...(fault === 'wrong-key' ? { sub: SERVICE_A } : {}),
    },
    { expired: fault === 'expired' },
  )
  return callee.call(path, fault === 'tampered' ? tamper(token) : token)
}
