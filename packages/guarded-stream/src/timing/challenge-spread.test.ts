import { describe, expect, it } from '@jest/globals'
import { ChallengeSpread } from './challenge-spread.ts'

const WINDOW_MS = 10_000
const DUE_AT = 1_000_000

const claimed = (count: number, spread = new ChallengeSpread()) =>
  Array.from({ length: count }, () => spread.claim(DUE_AT, WINDOW_MS))

describe('ChallengeSpread', () => {
  it('sends the challenges of few streams at their time', () => {
    expect(new Set(claimed(25))).toEqual(new Set([0]))
  })

  it('sends those of many up to a quarter of the window earlier, and about as many in each tick', () => {
    const leads = claimed(10_000)
    expect([Math.min(...leads), Math.max(...leads)]).toEqual([0, 2_500])
    const perTick = new Map<number, number>()
    for (const lead of leads) perTick.set(lead, (perTick.get(lead) ?? 0) + 1)
    expect(perTick.size).toBe(126)
    expect(Math.max(...perTick.values())).toBeLessThanOrEqual(100)
  })

  it('counts those of another time separately, and forgets those that were sent', () => {
    const spread = new ChallengeSpread()
    claimed(30, spread)
    expect(spread.claim(DUE_AT + 1_000, WINDOW_MS)).toBe(0)
    for (let sent = 0; sent < 30; sent += 1) spread.release(DUE_AT)
    expect(claimed(25, spread).at(-1)).toBe(0)
  })

  it('sends all at their time in a window that is too short to spread them', () => {
    const spread = new ChallengeSpread()
    for (let stream = 0; stream < 100; stream += 1) expect(spread.claim(DUE_AT, 40)).toBe(0)
  })
})
