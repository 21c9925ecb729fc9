import { ManualClock } from '@hallpass/service-kit/testing'
import { describe, expect, it } from '@jest/globals'
import { UsedAssertions } from './used-assertions.ts'

describe('UsedAssertions', () => {
  it('lets an assertion serve once for each issuer', () => {
    const clock = new ManualClock()
    const used = new UsedAssertions(clock.now)
    const until = clock.now() + 1000
    expect(used.use('servicea', '1', until)).toBe(true)
    expect(used.use('servicea', '1', until)).toBe(false)
    expect(used.use('serviceb', '1', until)).toBe(true)
  })

  it('keeps two names apart that look alike when they are joined', () => {
    const clock = new ManualClock()
    const used = new UsedAssertions(clock.now)
    expect(used.use('a', 'b,c', clock.now() + 1000)).toBe(true)
    expect(used.use('a,b', 'c', clock.now() + 1000)).toBe(true)
  })

  it('makes room by forgetting what has expired, and refuses when there is none', () => {
    const clock = new ManualClock()
    const used = new UsedAssertions(clock.now, 2)
    used.use('servicea', '1', clock.now() + 1000)
    used.use('servicea', '2', clock.now() + 2000)
    expect(() => used.use('servicea', '3', clock.now() + 2000)).toThrow(
      expect.objectContaining({ status: 503, code: 'too_many_assertions' }),
    )
    clock.advance(1000)
    expect(used.use('servicea', '3', clock.now() + 2000)).toBe(true)
    expect(used.use('servicea', '2', clock.now() + 2000)).toBe(false)
  })
})
