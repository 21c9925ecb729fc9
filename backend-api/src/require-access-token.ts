import { type Clock, issuerKeys, requireBearer } from '@hallpass/service-kit'
import { anySubject, remoteKeys, TokenError, verifyToken } from '@hallpass/tokens'
import type { RequestHandler } from 'express'
import type { Config } from './config.ts'

type Guard = NonNullable<Config['guard']>

/** Claims of ID tokens (OpenID Connect Core §2, §3.3.2.11) and logout tokens (Back-Channel Logout §2.4). */
const CLAIMS_OF_OTHER_TOKENS = ['nonce', 'at_hash', 'c_hash', 'events'] as const

/**
 * Lets a request pass that carries an access token for this API (RFC 9068 §4). An ID token is a message to the
 * client that logged the user in, and says nothing about what its bearer may do here: it is refused, by its
 * audience and by the claims that only it has.
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
        // `JWT` because Auth0 and others type their access tokens so; RFC 9068 §2.1 asks for `at+jwt`.
        typ: ['at+jwt', 'JWT'],
        maxLifetimeSeconds,
        leewaySeconds,
        clock,
      })
      const foreign = CLAIMS_OF_OTHER_TOKENS.find((claim) => verified.claims[claim] !== undefined)
      if (foreign !== undefined)
        throw new TokenError('typ_not_allowed', 'this is not an access token', {
          checks: [
            ...verified.checks,
            { name: 'kind', passed: false, rule: 'RFC 9068 §5', detail: `has a ${foreign} claim` },
          ],
        })
      return verified
    },
  })
}
