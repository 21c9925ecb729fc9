import { type Check, TokenError, type TokenErrorOptions, type TokenErrorReason } from './token-error.ts'

/** The checks of a verifier, in the order in which it makes them, each with the rule that asks for it. */
const CHECKS = {
  form: 'RFC 7515 §7.1',
  algorithm: 'RFC 8725 §3.1',
  critical: 'RFC 7515 §4.1.11',
  'embedded key': 'RFC 8725 §3.10',
  type: 'RFC 8725 §3.11',
  issuer: 'RFC 7519 §4.1.1',
  key: 'RFC 8725 §3.8',
  signature: 'RFC 7515 §5.2',
  'not before': 'RFC 7519 §4.1.5',
  expiry: 'RFC 7519 §4.1.4',
  audience: 'RFC 7519 §4.1.3',
  subject: 'RFC 7519 §4.1.2',
  'issued at': 'RFC 7519 §4.1.6',
  lifetime: 'RFC 9068 §2.2',
} as const

export type CheckName = keyof typeof CHECKS

/** A check that passed says the same every time, so it is made once. */
const PASSED = new Map<string, Check>(
  Object.entries(CHECKS).map(([name, rule]) => [name, Object.freeze({ name, passed: true, rule })]),
)

/** Collects what was checked, and ends with the first check that fails. */
export class Verdict {
  readonly checks: Check[]

  /** @param earlier what has been checked already. */
  constructor(earlier: readonly Check[] = []) {
    this.checks = [...earlier]
  }

  pass(name: CheckName): void {
    this.checks.push(PASSED.get(name) as Check)
  }

  /** The error to throw. */
  fail(
    name: CheckName,
    reason: TokenErrorReason,
    message: string,
    detail?: string,
    options: Omit<TokenErrorOptions, 'checks'> = {},
  ): TokenError {
    const failed = { name, passed: false, rule: CHECKS[name], ...(detail ? { detail } : {}) }
    return new TokenError(reason, message, { ...options, checks: [...this.checks, failed] })
  }
}
