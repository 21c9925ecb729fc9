import type { Algorithm, KeyFinder, Signer, SigningKey, VerificationKey } from '../keys/index.ts'
import type { TokenLibrary } from '../libraries/index.ts'
import {
  algorithm,
  type CommonRules,
  check,
  critical,
  expiry,
  form,
  issuedAt,
  type RuleSet,
  signature,
  signed,
  Verification,
  verifyBy,
} from '../rule-set/index.ts'
import { signToken } from '../sign.ts'
import { TokenError } from '../token-error.ts'
import { StatusList, StatusListError } from './status-list.ts'

/** The `typ` of a status list token (Token Status List §5.1). */
export const STATUS_LIST_TYPE = 'statuslist+jwt'
/** A list token is a response and not a header: an incompressible list of 390 KB, or many times that if few tokens are revoked. */
export const MAX_STATUS_LIST_TOKEN_LENGTH = 1024 * 1024

export interface StatusListTokenOptions {
  readonly issuer: string
  /** The list's URI, which tokens refer to and from which it is loaded. */
  readonly uri: string
  /** How long a verifier may use its copy, in seconds. */
  readonly ttlSeconds: number
  /** Seconds from now until `exp`. */
  readonly lifetimeSeconds: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly library?: TokenLibrary
}

/**
 * Signs a status list (Token Status List §5.1).
 * @throws {SigningError} as signToken does
 */
export const signStatusList = (
  list: StatusList,
  key: SigningKey | Signer,
  { issuer, uri, ttlSeconds, ...options }: StatusListTokenOptions,
): Promise<string> =>
  signToken(statusListClaims(list, { issuer, uri, ttlSeconds }), key, {
    ...options,
    typ: STATUS_LIST_TYPE,
    maxLength: MAX_STATUS_LIST_TOKEN_LENGTH,
  })

/** Returns the claims of a status list token, without its times. */
export const statusListClaims = (
  list: StatusList,
  { issuer, uri, ttlSeconds }: Pick<StatusListTokenOptions, 'issuer' | 'uri' | 'ttlSeconds'>,
): Record<string, unknown> => ({ iss: issuer, sub: uri, ttl: ttlSeconds, status_list: { ...list.encode() } })

/** What a verifier requires of a status list token. */
export interface StatusListTokenRules extends CommonRules {
  /** The issuer of the tokens that refer to the list. A list token may omit `iss`; it is verified with this issuer's keys. */
  readonly issuer: string
  readonly keys: KeyFinder
  /** The URI in the token that refers to the list. */
  readonly uri: string
}

/** A valid status list token. */
export interface VerifiedStatusList {
  readonly list: StatusList
  /** Seconds since 1970. */
  readonly iat: number
  readonly exp: number | undefined
  /** The issuer's limit for copies, in seconds. */
  readonly ttl: number | undefined
}

class ListVerification extends Verification<StatusListTokenRules, VerifiedStatusList> {
  list!: StatusList

  override fail(reason: TokenError['reason'], message: string, detail?: string): TokenError {
    return new TokenError(reason, message, { checks: this.checksWithFailure(detail) })
  }

  override result(): VerifiedStatusList {
    const { iat, exp, ttl } = this.claims as { iat: number; exp?: number; ttl?: number }
    return { list: this.list, iat, exp, ttl }
  }
}

const listType = check('status list type', 'Token Status List §5.1', (verification: ListVerification) => {
  const { typ } = verification.header
  const name = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined
  if (name !== STATUS_LIST_TYPE)
    throw verification.fail('typ_not_allowed', `jwt type invalid. expected: ${STATUS_LIST_TYPE}`)
})

const listIssuer = check(
  'status list issuer',
  'Token Status List §11.3',
  (verification: ListVerification) => {
    const { iss } = verification.claims
    const { issuer } = verification.rules
    if (iss !== undefined && iss !== issuer)
      throw verification.fail('issuer_mismatch', `jwt issuer invalid. expected: ${issuer}`)
  },
)

const listKey = check('status list key', 'RFC 8725 §3.8', (verification: ListVerification) => {
  const { alg, header, rules } = verification
  const use = (key: VerificationKey | undefined): undefined => {
    if (!key || key.alg !== alg) throw verification.fail('key_unknown', 'invalid signature')
    verification.keys = [key]
  }
  const { kid } = header
  if (kid !== undefined && typeof kid !== 'string') throw verification.fail('kid_malformed', 'invalid token')
  const found = rules.keys(rules.issuer, kid, alg as Algorithm)
  return found instanceof Promise ? found.then(use) : use(found)
})

const listClaims = check('status list claims', 'Token Status List §5.1', (verification: ListVerification) => {
  const { claims, rules } = verification
  const { sub, iat, ttl, status_list } = claims
  if (sub !== rules.uri)
    throw verification.fail('subject_mismatch', `jwt subject invalid. expected: ${rules.uri}`)
  if (iat === undefined) throw verification.fail('issued_at_malformed', 'invalid iat value')
  if (ttl !== undefined && !(typeof ttl === 'number' && ttl > 0))
    throw verification.fail('claims_malformed', 'invalid token', 'ttl is not a positive number')
  try {
    verification.list = StatusList.decode(status_list)
  } catch (error) {
    if (!(error instanceof StatusListError)) throw error
    throw verification.fail('claims_malformed', 'invalid token', error.message)
  }
})

const CHECKS = [
  form,
  algorithm,
  signed,
  critical,
  listType,
  listIssuer,
  listKey,
  signature,
  expiry,
  issuedAt,
  listClaims,
]

/**
 * Verifies a status list token (Token Status List §8.3).
 * @throws {TokenError} if it is not a valid list of this issuer with this URI
 * @throws what the rules' `keys` throw
 */
export async function verifyStatusList(
  token: string,
  rules: StatusListTokenRules,
): Promise<VerifiedStatusList> {
  const ruleSet: RuleSet<VerifiedStatusList, ListVerification> = {
    checks: CHECKS,
    begin: (text) =>
      new ListVerification(text, {
        ...rules,
        expiry: 'optional',
        maxTokenLength: MAX_STATUS_LIST_TOKEN_LENGTH,
      }),
  }
  return verifyBy(ruleSet, token)
}
