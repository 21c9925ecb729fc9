import { ManualClock } from '@hallpass/service-kit/testing'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type Authority, AuthorityCycle } from './authority-cycle.ts'

const HOUR = 3_600_000

let clock: ManualClock
let made: number
beforeEach(() => {
  clock = new ManualClock()
  made = 0
})

const newCycle = (stages?: AuthorityCycle<Authority>['stages']) =>
  new AuthorityCycle<Authority>(
    {
      make: async () => ({ id: `${++made}`, notBefore: clock.now(), notAfter: clock.now() + 24 * HOUR }),
      overlapMs: 5_000,
      longestSvidMs: () => HOUR,
      clock: clock.now,
    },
    stages,
  )
const picture = (cycle: AuthorityCycle<Authority>) =>
  cycle.stages.map(({ authority, state }) => `${authority.id} ${state}`)

describe('AuthorityCycle', () => {
  it('starts with one authority, which signs immediately because no other is trusted yet', async () => {
    const cycle = newCycle()
    expect(await cycle.advance()).toBe(true)
    expect(picture(cycle)).toEqual(['1 active'])
    expect(await cycle.advance()).toBe(false)
  })

  it('publishes the next at half of the lifetime, activates it at five sixths, and removes the old one after its last SVID', async () => {
    const cycle = newCycle()
    await cycle.advance()
    clock.advance(12 * HOUR - 1)
    expect(await cycle.advance()).toBe(false)
    clock.advance(1)
    expect(await cycle.advance()).toBe(true)
    expect(picture(cycle)).toEqual(['1 active', '2 prepared'])
    clock.advance(8 * HOUR)
    expect(await cycle.advance()).toBe(true)
    expect(picture(cycle)).toEqual(['1 old', '2 active'])
    clock.advance(HOUR - 1)
    expect(await cycle.advance()).toBe(false)
    clock.advance(1)
    expect(await cycle.advance()).toBe(true)
    expect(picture(cycle)).toEqual(['2 active'])
  })

  it('rotates on request: published immediately, active after the overlap', async () => {
    const cycle = newCycle()
    await cycle.advance()
    await cycle.rotate()
    expect(picture(cycle)).toEqual(['1 active', '2 prepared'])
    clock.advance(4_999)
    await cycle.advance()
    expect(cycle.active.id).toBe('1')
    clock.advance(1)
    await cycle.advance()
    expect(picture(cycle)).toEqual(['1 old', '2 active'])
  })

  it('activates an already prepared authority sooner when a rotation is requested', async () => {
    const cycle = newCycle()
    await cycle.advance()
    clock.advance(12 * HOUR)
    await cycle.advance()
    expect((await cycle.rotate()).id).toBe('2')
    clock.advance(5_000)
    await cycle.advance()
    expect(picture(cycle)).toEqual(['1 old', '2 active'])
  })

  it('creates one authority for two concurrent rotations', async () => {
    const cycle = newCycle()
    await cycle.advance()
    const [a, b] = await Promise.all([cycle.rotate(), cycle.rotate()])
    expect(a).toBe(b)
    expect(made).toBe(2)
  })

  it('removes the old authority immediately when it is retired', async () => {
    const cycle = newCycle()
    await cycle.advance()
    await cycle.rotate()
    clock.advance(5_000)
    await cycle.advance()
    expect((await cycle.retire()).map(({ id }) => id)).toEqual(['1'])
    expect(picture(cycle)).toEqual(['2 active'])
  })

  it('resumes after a restart, and starts over if everything has expired meanwhile', async () => {
    const cycle = newCycle()
    await cycle.advance()
    await cycle.rotate()
    const restarted = newCycle(cycle.stages)
    clock.advance(5_000)
    await restarted.advance()
    expect(picture(restarted)).toEqual(['1 old', '2 active'])
    const late = newCycle(cycle.stages)
    clock.advance(48 * HOUR)
    await late.advance()
    expect(picture(late)).toEqual(['3 active'])
  })
})
