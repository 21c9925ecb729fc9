import { SpiffeIdError } from './errors.ts'
import { SpiffeId } from './id.ts'
import { TrustDomain } from './trust-domain.ts'

/** A SPIFFE ID as an object or a string; accepted by every function of the library. */
export type SpiffeIdLike = SpiffeId | string

/** A trust domain as an object, its name (`example.org`), or any SPIFFE ID in it. */
export type TrustDomainLike = TrustDomain | string

/** @throws SpiffeIdError */
export function parseSpiffeId(id: SpiffeIdLike): SpiffeId {
  return id instanceof SpiffeId ? id : SpiffeId.parse(id)
}

/** @throws SpiffeIdError */
export function parseTrustDomain(trustDomain: TrustDomainLike): TrustDomain {
  if (trustDomain instanceof TrustDomain) return trustDomain
  if (trustDomain === '') throw new SpiffeIdError('missing_trust_domain')
  // A name cannot contain `:/`, so this was meant as an ID and gets the errors of an ID.
  return trustDomain.includes(':/')
    ? SpiffeId.parse(trustDomain).trustDomain
    : TrustDomain.ofName(trustDomain)
}
