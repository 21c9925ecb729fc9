import {
  type Clock,
  type Handler,
  issuerKeys,
  requireBearer,
  type UnusableKeys,
  type VerifiedClaims,
} from '@hallpass/service-kit'
import { anySubject, remoteKeys, type VerificationRules, verifyToken } from '@hallpass/tokens'
import type { Config } from './config.ts'
import { Introspection, looksLikeJwt } from './introspection/index.ts'

type Guard = NonNullable<Config['guard']>

/**
 * Rejects requests without a valid access token for this API (RFC 9068 §4). An ID token is for the client that logged
 * the user in and grants no access here, whatever its audience: the rule `tokenUse` tells the two apart.
 */
export function requireAccessToken(guard: Guard, clock: Clock, unusable: UnusableKeys): Handler {
  const { issuer, audience, audienceList, jwksUrl, scopes, maxLifetimeSeconds, leewaySeconds } = guard
  const { algorithms, tokenUse } = guard
  const rules: VerificationRules = {
    issuer,
    audience,
    audienceList,
    subject: anySubject,
    keys: remoteKeys({ issuer, ...issuerKeys({ issuer, jwksUrl, unusable }), algorithms, clock }),
    algorithms,
    // `JWT` because Auth0 and others use it for access tokens; RFC 9068 §2.1 requires `at+jwt`.
    typ: ['at+jwt', 'JWT'],
    tokenUse,
    maxLifetimeSeconds,
    leewaySeconds,
    clock,
  }
  const verifyHere = (token: string): Promise<VerifiedClaims> => verifyToken(token, rules)
  const { validation, introspection } = guard
  const byIssuer = introspection && new Introspection({ ...guard, ...introspection, clock })
  const verify = (token: string) =>
    byIssuer && (validation === 'introspection' || !looksLikeJwt(token))
      ? byIssuer.verify(token)
      : verifyHere(token)
  return requireBearer({ realm: 'backend-api', scopes, verify })
}
