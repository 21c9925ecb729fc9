import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import {
  atOnce,
  type CheckDefinition,
  type CommonRules,
  check,
  notApplicable,
  type RuleSet,
  TOKEN_CHECKS,
  Verification,
  verifyBy,
} from '../index.ts'

class Plain extends Verification<CommonRules, readonly unknown[]> {
  override fail(reason: string, message: string, detail?: string): Error {
    return Object.assign(new Error(message), { reason, checks: this.checksWithFailure(detail) })
  }
  override result(): readonly unknown[] {
    return this.checks
  }
}

const rulesOf = (...checks: CheckDefinition<Plain>[]): RuleSet<readonly unknown[], Plain> => ({
  checks,
  begin: (token: string) => new Plain(token, {}),
})
const passes = (name: string) => check(name, `rule of ${name}`, () => {})
const passed = (name: string) => ({ name, passed: true, rule: `rule of ${name}` })
const fails = check('c', 'rule of c', (verification: Plain) => {
  throw verification.fail('expired', 'it is over', 'since yesterday')
})

describe('a verification by a rule set', () => {
  it('runs the checks in order, and synchronously if none waits', () => {
    expect(verifyBy(rulesOf(passes('b'), passes('a')), '')).toEqual([passed('b'), passed('a')])
  })

  it('stops at the first check that fails, and reports it with its rule', () => {
    const never = check('d', 'rule of d', () => {
      throw new Error('made after a failure')
    })
    expect(() => verifyBy(rulesOf(passes('a'), fails, never), '')).toThrow(
      expect.objectContaining({
        message: 'it is over',
        reason: 'expired',
        checks: [passed('a'), { name: 'c', passed: false, rule: 'rule of c', detail: 'since yesterday' }],
      }),
    )
  })

  it('does not list a check that does not apply', () => {
    const nothing = check('n', 'rule of n', () => notApplicable)
    const late = check('l', 'rule of l', async (): Promise<typeof notApplicable> => notApplicable)
    expect(verifyBy(rulesOf(nothing, passes('a')), '')).toEqual([passed('a')])
    return expect(verifyBy(rulesOf(late, passes('a')), '')).resolves.toEqual([passed('a')])
  })

  it('waits for an asynchronous check before it runs the next ones', async () => {
    const late = check('l', 'rule of l', async () => {
      await setImmediate()
      return undefined
    })
    expect(await verifyBy(rulesOf(passes('a'), late, passes('b')), '')).toEqual(['a', 'l', 'b'].map(passed))
    await expect(verifyBy(rulesOf(late, fails), '')).rejects.toMatchObject({
      reason: 'expired',
      checks: [passed('l'), { name: 'c', passed: false }],
    })
  })

  it('is synchronous, or atOnce reports a programming error', () => {
    const late = check('l', 'rule of l', async () => undefined)
    expect(atOnce(verifyBy(rulesOf(passes('a')), ''))).toEqual([passed('a')])
    expect(() => atOnce(verifyBy(rulesOf(late), ''))).toThrow(
      new TypeError('A check of this rule set is asynchronous; await the result.'),
    )
  })

  it('lists a check that passed as the same frozen object each time', () => {
    const a = passes('a')
    const [first] = atOnce(verifyBy(rulesOf(a), ''))
    const [second] = atOnce(verifyBy(rulesOf(a), ''))
    expect(first).toBe(second)
    expect(Object.isFrozen(first)).toBe(true)
  })
})

it('gives each check a unique name', () => {
  const names = TOKEN_CHECKS.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})
