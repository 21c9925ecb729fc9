import { type Matcher, matchAny, matchMemberOf, matchOneOf } from '../spiffe-id/match.ts'
import {
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeIdLike,
  type TrustDomainLike,
} from '../spiffe-id/parse.ts'
import type { TrustDomain } from '../spiffe-id/trust-domain.ts'
import type { VerifiedPeer } from '../x509-svid/verify.ts'

/**
 * Decides who of the verified may stay: returns, or throws the reason. Where all who may stay are of one trust
 * domain, `trustDomain` says so, and TLS trusts no other authority to begin with.
 */
export interface Authorizer {
  (peer: VerifiedPeer): void
  readonly trustDomain?: TrustDomain
}

const ofMatcher =
  (matches: Matcher): Authorizer =>
  ({ id }) =>
    matches(id)

const within = (trustDomain: TrustDomain, authorizer: Authorizer): Authorizer =>
  Object.assign((peer: VerifiedPeer) => authorizer(peer), { trustDomain })

/** Everyone with a valid SVID of a trust domain that one has a bundle of. */
export const authorizeAny = (): Authorizer => ofMatcher(matchAny())

export const authorizeId = (id: SpiffeIdLike): Authorizer => authorizeOneOf(id)

export function authorizeOneOf(...ids: readonly SpiffeIdLike[]): Authorizer {
  const authorizer = ofMatcher(matchOneOf(...ids))
  const [first, ...rest] = ids.map((id) => parseSpiffeId(id).trustDomain)
  return first && rest.every((other) => other.equals(first)) ? within(first, authorizer) : authorizer
}

export function authorizeMemberOf(trustDomain: TrustDomainLike): Authorizer {
  const domain = parseTrustDomain(trustDomain)
  return within(domain, ofMatcher(matchMemberOf(domain)))
}
