import type { Check } from '../token-error.ts'
import type { Verification } from './verification.ts'

/** Returned by a check that does not apply, e.g. to a token without `nbf`; such a check is not listed. */
export const notApplicable: unique symbol = Symbol('not applicable')

/**
 * The result of a check that does not throw: it passed, or it does not apply. A promise only if the check has to wait, e.g. for
 * a key set; all other verifications are synchronous.
 */
type Outcome = undefined | typeof notApplicable | Promise<undefined | typeof notApplicable>

/** One check of a rule set. */
export interface CheckDefinition<V extends Verification = Verification> {
  /** Unique among all rule sets, because the explorer finds the source line by it. */
  readonly name: string
  /** The rule that requires it, e.g. `RFC 7519 §4.1.4`. */
  readonly rule: string
  readonly make: (verification: V) => Outcome
  /** The list entry for a passed check: always the same, so it is created once. */
  readonly passed: Check
}

/**
 * Defines a check. It reads what earlier checks stored in the {@link Verification}, can add to it, and throws
 * `verification.fail(…)` to reject the token.
 *
 * The explorer finds the source line of every check by searching the sources (web-ui/src/live/check-sources.ts), so pass the
 * name to `check(`, and the reason to `fail(`, as a literal first argument.
 */
export function check<V extends Verification = Verification>(
  name: string,
  rule: string,
  make: CheckDefinition<V>['make'],
): CheckDefinition<V> {
  return { name, rule, make, passed: Object.freeze({ name, passed: true, rule }) }
}
