import { type CheckDefinition, notApplicable } from './check.ts'
import type { CommonRules, RememberedToken, Verification } from './verification.ts'

/**
 * A set of rules, together with the catalogue of its checks.
 * @template T what the caller gets for a token that passed every check
 */
export interface RuleSet<T, V extends Verification<CommonRules, T> = Verification<CommonRules, T>> {
  /** In the order in which they are made; the first that fails ends the verification. */
  readonly checks: readonly CheckDefinition<V>[]
  readonly begin: (token: string, remembered?: RememberedToken) => V
}

/**
 * Verifies a token by a rule set. Synchronous, unless one of its checks has to wait.
 * @throws what the rule set's `fail` makes, when the token is rejected.
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

/** Makes the checks from one of them on. */
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
 * The outcome of a verification that waits for nothing.
 * @throws {TypeError} when it does; a mistake of the rule set, not of the token.
 */
export function atOnce<T>(outcome: T | Promise<T>): T {
  if (outcome instanceof Promise) throw new TypeError('A check of this rule set waits; await the outcome.')
  return outcome
}
