import type { SpiffeId } from './id.ts'
import { parseSpiffeId, parseTrustDomain, type SpiffeIdLike, type TrustDomainLike } from './parse.ts'

/** Reports an ID that a matcher rejects. */
export class SpiffeIdMismatch extends Error {
  readonly code: 'unexpected_id' | 'unexpected_trust_domain'
  readonly id: SpiffeId

  constructor(code: SpiffeIdMismatch['code'], id: SpiffeId, message: string) {
    super(message)
    this.name = 'SpiffeIdMismatch'
    this.code = code
    this.id = id
  }
}

/** Decides only by the ID: returns if it is accepted, throws a {@link SpiffeIdMismatch} otherwise. */
export type Matcher = (id: SpiffeId) => void

/** Accepts every valid SVID. */
export function matchAny(): Matcher {
  return () => {}
}

/** Accepts exactly this ID. */
export function matchId(expected: SpiffeIdLike): Matcher {
  return matchOneOf(expected)
}

/** Accepts any of these IDs; without arguments, none. */
export function matchOneOf(...expected: readonly SpiffeIdLike[]): Matcher {
  const welcome = new Set(expected.map((id) => parseSpiffeId(id).toString()))
  return (id) => {
    if (!welcome.has(id.toString())) throw new SpiffeIdMismatch('unexpected_id', id, `unexpected ID "${id}"`)
  }
}

/** Accepts every ID of this trust domain. */
export function matchMemberOf(trustDomain: TrustDomainLike): Matcher {
  const expected = parseTrustDomain(trustDomain)
  return (id) => {
    if (!id.memberOf(expected))
      throw new SpiffeIdMismatch(
        'unexpected_trust_domain',
        id,
        `unexpected trust domain "${id.trustDomain.name}"`,
      )
  }
}
