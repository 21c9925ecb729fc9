import { accessTokens } from './access-tokens.ts'
import {
  type Entry,
  invalidClient,
  keySource,
  type Proof,
  type ProofOptions,
  rejectSeveralAudiences,
  verified,
} from './proofs.ts'

/**
 * Verifies access tokens that clients of an OpenID provider get for themselves (RFC 6749 §4.4), and reuse until they expire.
 *
 * A claim names the client. But a token that a user got by this client names it too, and the user, or any service that
 * receives the token, could act as the client. Such a token has the user as its `sub`, so the `sub` must be the client's
 * own (RFC 9068 §2.2): the client ID, or the listed `subject`.
 */
export function clientTokens(
  entry: Entry<'oidc'>,
  { audience: ownName, clock, leewaySeconds, unusable }: ProofOptions,
): Proof {
  const { issuer, audience = ownName, audienceList, clientIdClaim, allowUserTokens } = entry
  const subjects = new Map(
    Object.entries(entry.clients).map(([clientId, { subject = clientId }]) => [clientId, subject]),
  )
  const verify = accessTokens({
    issuer,
    source: keySource({ ...entry, unusable }),
    audience,
    // Several providers send a list of one.
    audienceList: 'contains',
    tokenUse: entry.tokenUse,
    algorithms: entry.algorithms,
    maxLifetimeSeconds: entry.maxLifetimeSeconds,
    leewaySeconds,
    clock,
  })
  return {
    async subjectOf(token) {
      const claims = await verified(token, verify)
      if (audienceList === 'single') rejectSeveralAudiences(claims.aud)
      const clientId = claims[clientIdClaim]
      if (typeof clientId !== 'string' || clientId === '')
        throw invalidClient(`the token has no ${clientIdClaim} claim with a client ID`)
      const subject = subjects.get(clientId)
      if (subject !== undefined && !allowUserTokens && claims.sub !== subject)
        throw invalidClient(
          `the token names ${clientId}, but its sub is not this client's own, so it may be a user's token`,
        )
      return clientId
    },
  }
}
