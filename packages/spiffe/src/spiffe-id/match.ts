import type { SpiffeId } from './id.ts'
import { parseSpiffeId, parseTrustDomain, type SpiffeIdLike, type TrustDomainLike } from './parse.ts'

/** Who is refused and why; thrown by a matcher. */
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

/** Decides by the ID alone: returns if it is welcome, throws a {@link SpiffeIdMismatch} if it is not. */
export type Matcher = (id: SpiffeId) => void

/** Everyone with a valid SVID. The name is long so that a reader of the code sees what it allows. */
export function matchAny(): Matcher {
  return () => {}
}

/** Exactly this ID. */
export function matchId(expected: SpiffeIdLike): Matcher {
  return matchOneOf(expected)
}

/** One of these IDs; of none of them if there are none. */
export function matchOneOf(...expected: readonly SpiffeIdLike[]): Matcher {
  const welcome = new Set(expected.map((id) => parseSpiffeId(id).toString()))
  return (id) => {
    if (!welcome.has(id.toString())) throw new SpiffeIdMismatch('unexpected_id', id, `unexpected ID "${id}"`)
  }
}

/** Every ID of this trust domain. */
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
