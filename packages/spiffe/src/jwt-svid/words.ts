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

const UNREADABLE = 'unable to parse JWT token'
const quote = JSON.stringify
const invalidSubject: Words = ({ detail }) => `token has an invalid subject claim: ${detail}`

/**
 * go-spiffe's message for every code, without its prefix: SPIFFE operators know these, and the documented example prints
 * them. go-spiffe.peer.ts compares them with go-spiffe's. A code that is not here is a SpiffeIdErrorCode.
 */
const WORDS: Readonly<Partial<Record<JwtSvidErrorCode, Words>>> = {
  malformed_token: UNREADABLE,
  alg_not_allowed: UNREADABLE,
  critical_header: UNREADABLE,
  wrong_typ: 'token header type not equal to either JWT or JOSE',
  malformed_claims: ({ detail }) => `unable to get claims from token: ${detail}`,
  missing_subject: 'token missing subject claim',
  missing_expiry: 'token missing exp claim',
  bundle_missing: ({ id }) => `no bundle found for trust domain ${quote(id.trustDomain.name)}`,
  authority_missing: ({ header: { alg, kid }, id }) =>
    `no JWT authority ${kid ? quote(kid) : `for algorithm ${alg}`} found for trust domain ${quote(id.trustDomain.name)}`,
  alg_not_of_key: ({ header: { alg, kid } }) =>
    `unable to get claims from token: algorithm ${alg} does not fit JWT authority ${quote(kid)}`,
  invalid_signature: 'unable to get claims from token: go-jose/go-jose: error in cryptographic primitive',
  wrong_audience: ({ audience, expectedAudience }) =>
    `expected audience in ${quoteAll(expectedAudience)} (audience=${quoteAll(audience)})`,
  not_yet_valid: 'go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)',
  expired: 'token has expired',
  issued_in_future: 'go-jose/go-jose/jwt: validation field, token issued in the future (iat)',
}

/** Codes whose message has no prefix: it comes from go-jose, which go-spiffe uses. */
const FROM_GO_JOSE: ReadonlySet<JwtSvidErrorCode> = new Set(['not_yet_valid', 'issued_in_future'])

/** SPIRE's message where it is not go-spiffe's without the prefix. */
const WORDS_OF_SPIRE: typeof WORDS = {
  bundle_missing: ({ id }) => `no keys found for trust domain ${quote(id.trustDomain.name)}`,
  authority_missing: ({ header: { alg, kid }, id }) =>
    kid
      ? `public key ${quote(kid)} not found in trust domain ${quote(id.trustDomain.name)}`
      : `no JWT authority for algorithm ${alg} found for trust domain ${quote(id.trustDomain.name)}`,
}

/** Returns go-spiffe's message for a rejected token. */
export function goSpiffeWords(code: JwtSvidErrorCode, facts: SvidFacts): string {
  const words = render(WORDS[code] ?? invalidSubject, facts)
  return FROM_GO_JOSE.has(code) ? words : `jwtsvid: ${words}`
}

/** Returns the message of SPIRE's Workload API for a rejected token. */
export const spireWords = (code: JwtSvidErrorCode, facts: SvidFacts): string =>
  render(WORDS_OF_SPIRE[code] ?? WORDS[code] ?? invalidSubject, facts)

const render = (words: Words, facts: SvidFacts): string => (typeof words === 'string' ? words : words(facts))
