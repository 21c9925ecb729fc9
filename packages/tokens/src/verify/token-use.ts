import { check, notApplicable } from '../rule-set/index.ts'
import type { TokenUse } from './rules.ts'
import type { TokenVerification } from './token-verification.ts'

/**
 * Reads a configured kind of access token: `at+jwt`, `scoped`, `any`, or `claim=value` for an issuer that marks them, e.g. `typ=Bearer`
 * (Keycloak) or `token_use=access` (Amazon Cognito).
 * @throws {TypeError}
 */
export function accessTokenUse(text: string): TokenUse {
  if (text === 'at+jwt' || text === 'scoped' || text === 'any') return text
  const [, claim, value] = /^([^=\s,]+)=([^\s,]+)$/.exec(text) ?? []
  if (claim === undefined || value === undefined)
    throw new TypeError('must be at+jwt, scoped, any, or a claim and its value such as typ=Bearer')
  return { claim, value }
}

/** Hashes for the client of a login (OpenID Connect Core §3.3.2.11), and what logout tokens and security events have. */
const MARKS_OF_OTHERS = ['at_hash', 'c_hash', 's_hash', 'events'] as const
/** What providers write into a claim of other tokens than access tokens: Keycloak in `typ`, Amazon Cognito in `token_use`. */
const OTHER_VALUES: Readonly<Record<string, readonly string[]>> = {
  typ: ['ID', 'Refresh', 'Offline', 'Logout'],
  token_use: ['id'],
}
/** What ID tokens do not have: scopes, and the marks of access tokens and of logout tokens. */
const MARKS_OF_ACCESS = ['scope', 'scp', 'client_id', 'events'] as const
const ACCESS_VALUES: Readonly<Record<string, readonly string[]>> = {
  typ: ['Bearer', 'Refresh', 'Offline', 'Logout'],
  token_use: ['access'],
}

/** Requires a token of the accepted kind. A `nonce` proves nothing: some providers copy it into access tokens. */
export const use = check('use', 'RFC 9068 §5', (verification: TokenVerification) => {
  const { claims, header, rules } = verification
  const { tokenUse = 'any' } = rules
  if (tokenUse === 'any') return notApplicable
  const refuse = (what: string, detail: string) =>
    verification.fail('use_not_allowed', `jwt is not ${what}`, detail)
  const isTyped = isAccessType(header.typ)
  if (tokenUse === 'id') {
    const mark = isTyped ? 'typ at+jwt' : markIn(claims, MARKS_OF_ACCESS, ACCESS_VALUES)
    if (mark) throw refuse('an id token', `has ${mark}`)
    return undefined
  }
  if (isBoundToKey(claims)) throw refuse('a bearer token', 'has the claim cnf')
  if (isTyped) return undefined
  if (tokenUse === 'at+jwt') throw refuse('an access token', 'its typ is not at+jwt')
  const mark = otherKindOf(claims)
  if (mark) throw refuse('an access token', `has ${mark}`)
  if (tokenUse === 'scoped') {
    if (!hasScope(claims)) throw refuse('an access token', 'its typ is not at+jwt, and it has no scope')
  } else if (claims[tokenUse.claim] !== tokenUse.value)
    throw refuse('an access token', `${tokenUse.claim} is not ${tokenUse.value}`)
})

const isAccessType = (typ: unknown) => typeof typ === 'string' && /^(application\/)?at\+jwt$/i.test(typ)

type Claims = TokenVerification['claims']

/**
 * Tests whether a token is bound to a key (`cnf`), and so is no bearer token: its sender would have to prove that it has the key
 * (RFC 7800 §3.1), which no verifier here asks for. Answers of RFC 7662 have the member too (RFC 8705 §3.2, RFC 9449 §6.2).
 */
export const isBoundToKey = (claims: Claims): boolean => claims.cnf !== undefined

/** Whether a `token_type` is that of bearer tokens; types are compared without regard to case (RFC 6749 §5.1). */
export const isBearerType = (type: unknown): boolean =>
  typeof type === 'string' && type.toLowerCase() === 'bearer'

/** Returns the mark of another kind of token than an access token; undefined if there is none. Claims of RFC 7662 have them too. */
export const otherKindOf = (claims: Claims): string | undefined =>
  markIn(claims, MARKS_OF_OTHERS, OTHER_VALUES)

function markIn(
  claims: Claims,
  names: readonly string[],
  values: Readonly<Record<string, readonly string[]>>,
): string | undefined {
  const name = names.find((name) => claims[name] !== undefined)
  if (name !== undefined) return `the claim ${name}`
  const [claim, found] =
    Object.entries(values)
      .map(([claim, marks]) => [claim, marks.find((mark) => claims[claim] === mark)] as const)
      .find(([, mark]) => mark !== undefined) ?? []
  return claim === undefined ? undefined : `the ${claim} ${found}`
}

/** A scope is a list of words in a string (RFC 8693 §4.2), or an array of them. */
const hasScope = ({ scope, scp }: Claims) =>
  [scope, scp].some((value) =>
    Array.isArray(value)
      ? value.some((word) => typeof word === 'string' && word.trim() !== '')
      : typeof value === 'string' && value.trim() !== '',
  )
