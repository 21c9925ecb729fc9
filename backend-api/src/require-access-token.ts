import { type Clock, type Handler, issuerKeys, requireBearer } from '@hallpass/service-kit'
import {
  anySubject,
  check,
  remoteKeys,
  type TokenVerification,
  type VerificationRules,
  verifyToken,
} from '@hallpass/tokens'
import type { Config } from './config.ts'

type Guard = NonNullable<Config['guard']>

/** Claims of ID tokens (OpenID Connect Core §2, §3.3.2.11) and logout tokens (Back-Channel Logout §2.4). */
const CLAIMS_OF_OTHER_TOKENS = ['nonce', 'at_hash', 'c_hash', 'events'] as const

/** The token has no claim that only ID tokens and logout tokens have. */
const accessTokenOnly = check('kind', 'RFC 9068 §5', (verification: TokenVerification) => {
  const otherClaim = CLAIMS_OF_OTHER_TOKENS.find((claim) => verification.claims[claim] !== undefined)
  if (otherClaim !== undefined)
    throw verification.fail('typ_not_allowed', 'this is not an access token', `has a ${otherClaim} claim`)
})

/**
 * Rejects requests without a valid access token for this API (RFC 9068 §4). An ID token is for the client that logged
 * the user in and grants no access here: it is rejected by its audience, and by claims that access tokens do not have.
 */
export function requireAccessToken(guard: Guard, clock: Clock): Handler {
  const { issuer, audience, audienceList, jwksUrl, scopes, maxLifetimeSeconds, leewaySeconds } = guard
  const keys = remoteKeys({ issuer, ...issuerKeys({ issuer, jwksUrl }), clock })
  const rules: VerificationRules = {
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
  }
  return requireBearer({
    realm: 'backend-api',
    scopes,
    verify: (token) => verifyToken(token, rules, [accessTokenOnly]),
  })
}
