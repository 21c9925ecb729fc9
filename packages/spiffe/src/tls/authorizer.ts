import {
  type Matcher,
  matchAny,
  matchMemberOf,
  matchOneOf,
  parseSpiffeId,
  parseTrustDomain,
  type SpiffeIdLike,
  type TrustDomain,
  type TrustDomainLike,
} from '../spiffe-id/index.ts'
import type { VerifiedPeer } from '../x509-svid/index.ts'

/**
 * Decides whether a verified peer is accepted: returns, or throws the reason. `trustDomain` is set if only one trust domain
 * can be accepted; then TLS trusts only the authorities of that domain.
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

/** Accepts every valid SVID of all trust domains with a bundle. */
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
