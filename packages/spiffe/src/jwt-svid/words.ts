import type { TokenHeader } from '@hallpass/tokens'
import type { SpiffeId } from '../spiffe-id/id.ts'
import type { JwtSvidErrorCode } from './errors.ts'
import { quoteAll } from './quote.ts'

/** What has been found of a token when it is rejected; what a later check finds is not there yet. */
export interface SvidFacts {
  readonly header: TokenHeader
  readonly id: SpiffeId
  readonly audience: readonly string[]
  readonly expectedAudience: readonly string[]
  /** Why, in our words. */
  readonly detail: string
}

type Words = string | ((facts: SvidFacts) => string)

const UNREADABLE = 'jwtsvid: unable to parse JWT token'
const quote = JSON.stringify

/**
 * The words of go-spiffe for every code: operators of SPIFFE know them, and the documented example prints them. Two come
 * without a prefix, from the library beneath it. go-spiffe.peer.ts compares them with go-spiffe itself.
 */
const WORDS: Readonly<Partial<Record<JwtSvidErrorCode, Words>>> = {
  malformed_token: UNREADABLE,
  alg_not_allowed: UNREADABLE,
  critical_header: UNREADABLE,
  wrong_typ: 'jwtsvid: token header type not equal to either JWT or JOSE',
  malformed_claims: ({ detail }) => `jwtsvid: unable to get claims from token: ${detail}`,
  missing_subject: 'jwtsvid: token missing subject claim',
  missing_expiry: 'jwtsvid: token missing exp claim',
  bundle_missing: ({ id }) => `jwtsvid: no bundle found for trust domain ${quote(id.trustDomain.name)}`,
  authority_missing: ({ header: { alg, kid }, id }) =>
    `jwtsvid: no JWT authority ${kid ? quote(kid) : `for algorithm ${alg}`} found for trust domain ${quote(id.trustDomain.name)}`,
  alg_not_of_key: ({ header: { alg, kid } }) =>
    `jwtsvid: unable to get claims from token: algorithm ${alg} does not fit JWT authority ${quote(kid)}`,
  invalid_signature:
    'jwtsvid: unable to get claims from token: go-jose/go-jose: error in cryptographic primitive',
  wrong_audience: ({ audience, expectedAudience }) =>
    `jwtsvid: expected audience in ${quoteAll(expectedAudience)} (audience=${quoteAll(audience)})`,
  not_yet_valid: 'go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)',
  expired: 'jwtsvid: token has expired',
  issued_in_future: 'go-jose/go-jose/jwt: validation field, token issued in the future (iat)',
}

/** Returns go-spiffe's message for a rejected token; a code that is not in the map is one of a SPIFFE ID. */
export function goSpiffeWords(code: JwtSvidErrorCode, facts: SvidFacts): string {
  const words = WORDS[code] ?? (({ detail }) => `jwtsvid: token has an invalid subject claim: ${detail}`)
  return typeof words === 'string' ? words : words(facts)
}
