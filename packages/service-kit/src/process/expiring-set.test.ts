import { describe, expect, it } from '@jest/globals'
import { ManualClock } from '../testing.ts'
import { ExpiringSet } from './expiring-set.ts'

describe('ExpiringSet', () => {
  it('contains a name until it expires, and no longer', () => {
    const clock = new ManualClock()
    const set = new ExpiringSet(clock.now, 10)
    set.add('a', clock.now() + 1000)
    clock.advance(999)
    expect(set.has('a')).toBe(true)
    clock.advance(1)
    expect(set.has('a')).toBe(false)
    expect(set.has('__proto__')).toBe(false)
  })

  it('evicts expired names, and reports when it is full', () => {
    const clock = new ManualClock()
    const set = new ExpiringSet(clock.now, 2)
    set.add('a', clock.now() + 1000)
    set.add('b', clock.now() + 2000)
    expect(set.add('c', clock.now() + 2000)).toBe(false)
    expect(set.add('b', clock.now() + 2000)).toBe(true)
    clock.advance(1000)
    expect(set.add('c', clock.now() + 2000)).toBe(true)
    expect([set.has('a'), set.has('b'), set.has('c')]).toEqual([false, true, true])
  })
})
