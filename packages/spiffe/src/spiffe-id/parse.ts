import { SpiffeIdError } from './errors.ts'
import { SpiffeId } from './id.ts'
import { TrustDomain } from './trust-domain.ts'

/** A SPIFFE ID, as an object or as its string: what every function of the library takes. */
export type SpiffeIdLike = SpiffeId | string

/** A trust domain, as an object, as its name (`example.org`) or as any SPIFFE ID in it. */
export type TrustDomainLike = TrustDomain | string

/** @throws SpiffeIdError */
export function parseSpiffeId(id: SpiffeIdLike): SpiffeId {
  return id instanceof SpiffeId ? id : SpiffeId.parse(id)
}

/** @throws SpiffeIdError */
export function parseTrustDomain(trustDomain: TrustDomainLike): TrustDomain {
  if (trustDomain instanceof TrustDomain) return trustDomain
  if (trustDomain === '') throw new SpiffeIdError('missing_trust_domain')
  // `:/` cannot be in a name: whoever wrote it meant an ID, and gets the errors of one.
  return trustDomain.includes(':/')
    ? SpiffeId.parse(trustDomain).trustDomain
    : TrustDomain.ofName(trustDomain)
}
