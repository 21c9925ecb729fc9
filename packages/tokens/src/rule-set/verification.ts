import type { Claims, ParsedToken, TokenHeader } from '../compact/index.ts'
import type { SignatureAlgorithm, VerificationKey } from '../keys/index.ts'
import type { TokenLibrary } from '../libraries/index.ts'
import type { Check, TokenErrorOptions, TokenErrorReason } from '../token-error.ts'

/** The rules that the shared checks read; a rule set can add its own. */
export interface CommonRules {
  /** The algorithms that a header is allowed to name; by default {@link ALGORITHMS}. */
  readonly algorithms?: readonly SignatureAlgorithm[]
  /** Tolerated clock skew in seconds. */
  readonly leewaySeconds?: number
  /** Tolerated clock skew in seconds for `exp`; by default {@link leewaySeconds}. */
  readonly expiryLeewaySeconds?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  /** `optional` accepts a token without `exp`. */
  readonly expiry?: 'required' | 'optional'
  /** Accepts a token at the exact millisecond of its `exp`, which RFC 7519 §4.1.4 does not. */
  readonly validAtExpiry?: boolean
  readonly library?: TokenLibrary
  /** The maximum length in characters, if the tokens are not sent in a header. */
  readonly maxTokenLength?: number
}

/** What SignatureMemory stores about a token whose signature was valid. */
export interface RememberedToken {
  readonly header: TokenHeader
  readonly claims: Claims
  readonly key: VerificationKey
}

/**
 * The verification of one token: the rules, and what the checks have found so far. A rule set subclasses it to store what its
 * own checks find.
 * @template R the rules
 * @template T the result for a valid token
 */
export abstract class Verification<R extends CommonRules = CommonRules, T = unknown> {
  readonly token: string
  readonly rules: R
  /** Set if this token was verified before: its form is known, and its signature too while its key is unchanged. */
  readonly remembered: RememberedToken | undefined
  /** Every check that passed, in order. */
  readonly checks: Check[] = []
  /** The check that is running. */
  current: Pick<Check, 'name' | 'rule'> | undefined

  // Each field below is set by the check in parentheses, for the checks after it.
  /** (form) For a remembered token, set only if its signature must be verified again. */
  parts: ParsedToken | undefined
  /** (form) */
  header!: TokenHeader
  /** (form) */
  claims!: Claims
  /** (form) The claims that limit when a token is valid; a rule set can replace them with parsed values. */
  times!: Readonly<{ exp?: unknown; nbf?: unknown; iat?: unknown }>
  /** (algorithm) */
  alg!: SignatureAlgorithm
  /** (the rule set's check that finds keys) The candidates for the signature. */
  keys!: readonly VerificationKey[]
  /** (signature) The key that made the signature. */
  key!: VerificationKey

  #now: number | undefined

  constructor(token: string, rules: R, remembered?: RememberedToken) {
    this.token = token
    this.rules = rules
    this.remembered = remembered
  }

  /** Seconds since the epoch. Read once for all checks, on first use, because finding keys can take time. */
  get now(): number {
    this.#now ??= (this.rules.clock ?? Date.now)() / 1000
    return this.#now
  }

  /** The time on the slowest tolerated clock, for `exp`. */
  get earliest(): number {
    const { leewaySeconds = 0, expiryLeewaySeconds = leewaySeconds } = this.rules
    return this.now - expiryLeewaySeconds
  }

  /** The time on the fastest tolerated clock. */
  get latest(): number {
    return this.now + (this.rules.leewaySeconds ?? 0)
  }

  /** Returns keys by which the issuer has replaced those that did not make the signature; undefined if there are none. */
  replacements(): undefined | Promise<readonly VerificationKey[]> {
    return undefined
  }

  /** Returns the error to throw when the current check fails. `detail` must not quote the token. */
  abstract fail(
    reason: TokenErrorReason,
    message: string,
    detail?: string,
    options?: Omit<TokenErrorOptions, 'checks'>,
  ): Error

  /** Returns the result for the caller, after every check has passed. */
  abstract result(): T

  /** Returns the passed checks, followed by the current one as failed. */
  protected checksWithFailure(detail?: string): Check[] {
    const { name = '', rule = '' } = this.current ?? {}
    return [...this.checks, { name, passed: false, rule, ...(detail ? { detail } : {}) }]
  }
}
