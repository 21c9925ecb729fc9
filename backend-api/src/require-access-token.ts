import { type Clock, issuerKeys, requireBearer } from '@hallpass/service-kit'
import { anySubject, remoteKeys, TokenError, verifyToken } from '@hallpass/tokens'
import type { RequestHandler } from 'express'
import type { Config } from './config.ts'

type Guard = NonNullable<Config['guard']>

/** Claims of ID tokens (OpenID Connect Core §2, §3.3.2.11) and logout tokens (Back-Channel Logout §2.4). */
const CLAIMS_OF_OTHER_TOKENS = ['nonce', 'at_hash', 'c_hash', 'events'] as const

/**
 * Rejects requests without a valid access token for this API (RFC 9068 §4). An ID token is for the client that logged
 * the user in and grants no access here: it is rejected by its audience, and by claims that access tokens do not have.
 */
export function requireAccessToken(guard: Guard, clock: Clock): RequestHandler {
  const { issuer, audience, audienceList, jwksUrl, scopes, maxLifetimeSeconds, leewaySeconds } = guard
  const keys = remoteKeys({ issuer, ...issuerKeys({ issuer, jwksUrl }), clock })
  return requireBearer({
    realm: 'backend-api',
    scopes,
    verify: async (token) => {
      const verified = await verifyToken(token, {
        issuer,
        audience,
        audienceList,
        subject: anySubject,
        keys,
        // `JWT` because Auth0 and others use it for access tokens; RFC 9068 §2.1 requires `at+jwt`.
        typ: ['at+jwt', 'JWT'],
        maxLifetimeSeconds,
        leewaySeconds,
        clock,
      })
      const otherClaim = CLAIMS_OF_OTHER_TOKENS.find((claim) => verified.claims[claim] !== undefined)
      if (otherClaim !== undefined)
        throw new TokenError('typ_not_allowed', 'this is not an access token', {
          checks: [
            ...verified.checks,
            { name: 'kind', passed: false, rule: 'RFC 9068 §5', detail: `has a ${otherClaim} claim` },
          ],
        })
      return verified
    },
  })
}
