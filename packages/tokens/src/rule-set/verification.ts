import type { Claims, ParsedToken, TokenHeader } from '../compact/compact.ts'
import type { SignatureAlgorithm } from '../keys/algorithms.ts'
import type { AnyVerificationKey } from '../keys/keys.ts'
import type { TokenLibrary } from '../libraries/library.ts'
import type { Check, TokenErrorOptions, TokenErrorReason } from '../token-error.ts'

/** The rules that the shared checks read; a rule set may have more. */
export interface CommonRules {
  /** The algorithms that a header may name; by default those of the suite. */
  readonly algorithms?: readonly SignatureAlgorithm[]
  /** How many seconds two clocks may differ. */
  readonly leewaySeconds?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  /** `optional`: a token without `exp` passes. */
  readonly expiry?: 'required' | 'optional'
  /** Whether a token is still valid in the very millisecond of its `exp`; RFC 7519 §4.1.4 says no. */
  readonly validAtExpiry?: boolean
  readonly library?: TokenLibrary
}

/** What is kept of a token whose signature was good: see SignatureMemory. */
export interface RememberedToken {
  readonly header: TokenHeader
  readonly claims: Claims
  readonly key: AnyVerificationKey
}

/**
 * One token while it is verified: what the rules are, and what the checks have found so far. A rule set has a class of its own
 * for what only its checks find.
 * @template R the rules
 * @template T what the caller gets for a token that passed every check
 */
export abstract class Verification<R extends CommonRules = CommonRules, T = unknown> {
  readonly token: string
  readonly rules: R
  /** The same token, verified before: its form and, as long as its key is the same, its signature are known. */
  readonly remembered: RememberedToken | undefined
  /** Every check that passed, in order. */
  readonly checks: Check[] = []
  /** The check that is being made. */
  current: Pick<Check, 'name' | 'rule'> | undefined

  // From here on each is set by the check in brackets, and there for those after it.
  /** (form) Not set for a remembered token until its signature has to be verified again. */
  parts: ParsedToken | undefined
  /** (form) */
  header!: TokenHeader
  /** (form) */
  claims!: Claims
  /** (form) The claims that say when a token is valid; a rule set may put what it has read of them in their place. */
  times!: Readonly<{ exp?: unknown; nbf?: unknown; iat?: unknown }>
  /** (algorithm) */
  alg!: SignatureAlgorithm
  /** (the check of the rule set that finds keys) Those that may have made the signature. */
  keys!: readonly AnyVerificationKey[]
  /** (signature) The one that made it. */
  key!: AnyVerificationKey

  #now: number | undefined

  constructor(token: string, rules: R, remembered?: RememberedToken) {
    this.token = token
    this.rules = rules
    this.remembered = remembered
  }

  /** Seconds since the epoch: one moment for all checks, and not before the first that asks, because keys may be waited for. */
  get now(): number {
    this.#now ??= (this.rules.clock ?? Date.now)() / 1000
    return this.#now
  }

  /** The time on the slowest clock that the rules tolerate. */
  get earliest(): number {
    return this.now - (this.rules.leewaySeconds ?? 0)
  }

  /** The time on the fastest clock that the rules tolerate. */
  get latest(): number {
    return this.now + (this.rules.leewaySeconds ?? 0)
  }

  /** Returns the error to throw for a token that fails the current check. `detail` must not quote the token itself. */
  abstract fail(
    reason: TokenErrorReason,
    message: string,
    detail?: string,
    options?: Omit<TokenErrorOptions, 'checks'>,
  ): Error

  /** What the caller gets, once every check has passed. */
  abstract result(): T

  /** The checks that passed, and the current one as the one that failed. */
  protected checksWithFailure(detail?: string): Check[] {
    const { name = '', rule = '' } = this.current ?? {}
    return [...this.checks, { name, passed: false, rule, ...(detail ? { detail } : {}) }]
  }
}
