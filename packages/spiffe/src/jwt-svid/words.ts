import type { TokenHeader } from '@hallpass/tokens'
import type { SpiffeId } from '../spiffe-id/index.ts'
import type { JwtSvidErrorCode } from './errors.ts'
import { quoteAll } from './quote.ts'

/** What the checks have found when a token is rejected; the results of later checks are missing. */
export interface SvidFacts {
  readonly header: TokenHeader
  readonly id: SpiffeId
  readonly audience: readonly string[]
  readonly expectedAudience: readonly string[]
  /** The reason, in our own words. */
  readonly detail: string
}

type Words = string | ((facts: SvidFacts) => string)

const UNREADABLE = 'jwtsvid: unable to parse JWT token'
const quote = JSON.stringify

/**
 * go-spiffe's message for every code: SPIFFE operators know these, and the documented example prints them. Two have no
 * prefix because they come from the underlying go-jose. go-spiffe.peer.ts compares them with go-spiffe's.
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

/** Returns go-spiffe's message for a rejected token. A code that is not in the map is a SpiffeIdErrorCode. */
export function goSpiffeWords(code: JwtSvidErrorCode, facts: SvidFacts): string {
  const words = WORDS[code] ?? (({ detail }) => `jwtsvid: token has an invalid subject claim: ${detail}`)
  return typeof words === 'string' ? words : words(facts)
}
