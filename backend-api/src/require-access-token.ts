import { accessTokens } from '@hallpass/callers'
import { Introspection, looksLikeJwt } from '@hallpass/callers/introspection'
import {
  type Clock,
  type Handler,
  issuerKeys,
  requireBearer,
  type UnusableKeys,
  type VerifiedClaims,
} from '@hallpass/service-kit'
import type { Config } from './config.ts'

type Guard = NonNullable<Config['guard']>

/**
 * Rejects requests without a valid access token for this API (RFC 9068 §4). An ID token is for the client that logged
 * the user in and grants no access here, whatever its audience: the rule `tokenUse` tells the two apart.
 */
export function requireAccessToken(guard: Guard, clock: Clock, unusable: UnusableKeys): Handler {
  const { issuer, jwksUrl, scopes, validation, introspection } = guard
  const verifyHere = accessTokens({ ...guard, source: issuerKeys({ issuer, jwksUrl, unusable }), clock })
  const byIssuer =
    introspection &&
    new Introspection({ issuer, ...introspection, clock }).verifier({
      ...introspection,
      ...guard,
      expiry: 'optional',
    })
  const verify = (token: string): Promise<VerifiedClaims> =>
    byIssuer && (validation === 'introspection' || !looksLikeJwt(token)) ? byIssuer(token) : verifyHere(token)
  return requireBearer({ realm: 'backend-api', scopes, verify })
}
