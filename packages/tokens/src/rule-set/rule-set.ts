import { type CheckDefinition, notApplicable } from './check.ts'
import type { CommonRules, RememberedToken, Verification } from './verification.ts'

/**
 * The checks for one kind of token, and how to begin a verification.
 * @template T the result for a valid token
 */
export interface RuleSet<T, V extends Verification<CommonRules, T> = Verification<CommonRules, T>> {
  /** In execution order; the first failure ends the verification. */
  readonly checks: readonly CheckDefinition<V>[]
  readonly begin: (token: string, remembered?: RememberedToken) => V
}

/**
 * Verifies a token against a rule set. Synchronous unless a check has to wait.
 * @throws the error that the rule set's `fail` creates if the token is rejected.
 */
export function verifyBy<T, V extends Verification<CommonRules, T>>(
  { begin, checks }: RuleSet<T, V>,
  token: string,
  remembered?: RememberedToken,
): T | Promise<T> {
  const verification = begin(token, remembered)
  const pending = makeChecks(verification, checks)
  return pending === undefined ? verification.result() : pending.then(() => verification.result())
}

/** Runs the checks, starting at index `from`. */
export function makeChecks<V extends Verification>(
  verification: V,
  checks: readonly CheckDefinition<V>[],
  from = 0,
): undefined | Promise<undefined> {
  for (let index = from; index < checks.length; index += 1) {
    const check = checks[index] as CheckDefinition<V>
    verification.current = check
    const outcome = check.make(verification)
    if (outcome === undefined) verification.checks.push(check.passed)
    else if (outcome instanceof Promise)
      return outcome.then((late) => {
        if (late !== notApplicable) verification.checks.push(check.passed)
        return makeChecks(verification, checks, index + 1)
      })
  }
  return undefined
}

/**
 * Returns the result of a synchronous verification.
 * @throws {TypeError} if a check of the rule set is asynchronous: a programming error, not a bad token.
 */
export function atOnce<T>(outcome: T | Promise<T>): T {
  if (outcome instanceof Promise)
    throw new TypeError('A check of this rule set is asynchronous; await the result.')
  return outcome
}
