import type { Check } from '../token-error.ts'
import type { Verification } from './verification.ts'

/** What a check returns that found nothing to look at, e.g. the `nbf` of a token without one: it is not listed then. */
export const notApplicable: unique symbol = Symbol('not applicable')

/**
 * What becomes of a check that does not throw: it passed, or there was nothing to check. A promise only where something is
 * waited for, e.g. a key set: a verification that waits for nothing is synchronous.
 */
type Outcome = undefined | typeof notApplicable | Promise<undefined | typeof notApplicable>

/** One entry of the catalogue of a rule set. */
export interface CheckDefinition<V extends Verification = Verification> {
  /** Unique among all catalogues, because the explorer finds the line of the source by it. */
  readonly name: string
  /** The rule that asks for it, e.g. `RFC 7519 §4.1.4`. */
  readonly rule: string
  readonly make: (verification: V) => Outcome
  /** What is listed when it passes: the same each time, so it is made once. */
  readonly passed: Check
}

/**
 * Defines a check. It reads what earlier checks have found in the {@link Verification}, may add to it, and throws
 * `verification.fail(…)` when the token is wrong.
 *
 * The explorer links every check to its line by reading the sources (web-ui/src/live/check-sources.ts), so `check(` is
 * followed by the name as a literal, and `fail(` by the reason.
 */
export function check<V extends Verification = Verification>(
  name: string,
  rule: string,
  make: CheckDefinition<V>['make'],
): CheckDefinition<V> {
  return { name, rule, make, passed: Object.freeze({ name, passed: true, rule }) }
}
