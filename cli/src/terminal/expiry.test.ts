import { describe, expect, it } from '@jest/globals'
import { fromNow, parseTime } from './expiry.ts'

const NOW = 1_000_000_500

describe('parseTime', () => {
  it.each([
    ['30s', 1_000_030],
    ['+30s', 1_000_030],
    ['-30s', 999_970],
    ['1h', 1_003_600],
    ['1h30m', 1_005_400],
    ['1 hour 30 min', 1_005_400],
    ['2 days', 1_172_800],
    ['0.5s', 1_000_001],
    ['1661790350', 1_661_790_350],
    ['0', 0],
  ])('reads %j', (text, time) => {
    expect(parseTime(text, NOW)).toBe(time)
  })

  it.each([
    ['', '"" is not a valid time. Examples: 30s, +5m, 1h30m, -30s, 1795316400.'],
    ['soon', '"soon" is not a valid time. Examples: 30s, +5m, 1h30m, -30s, 1795316400.'],
    ['30s later', '"30s later" is not a valid time. Examples: 30s, +5m, 1h30m, -30s, 1795316400.'],
    ['9007199254740993', '"9007199254740993" is not a valid time for a token.'],
    ['99999999999w', '"99999999999w" is not a valid time for a token.'],
    ['3 fortnights', '"fortnights" is not a unit of time. Use s, m, h, d or w.'],
  ])('rejects %j', (text, message) => {
    expect(() => parseTime(text, NOW)).toThrow(message)
  })
})

describe('fromNow', () => {
  it.each([
    [1_000_000, 'now'],
    [1_000_025, 'in 25 s'],
    [999_880, '2 minutes ago'],
    [1_010_800, 'in 3 hours'],
    [1_864_000, 'in 10 days'],
  ])('formats %i as %s', (time, words) => {
    expect(fromNow(time, NOW)).toBe(words)
  })
})
