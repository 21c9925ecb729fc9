import { expect, it } from '@jest/globals'
import { Tally } from './tally.ts'

it('counts by key and in total', () => {
  const tally = new Tally<string>()
  tally.add('alice')
  tally.add('alice')
  tally.add('bob')
  expect([tally.of('alice'), tally.of('bob'), tally.of('carol'), tally.total]).toEqual([2, 1, 0, 3])
  tally.remove('alice')
  tally.remove('bob')
  expect([tally.of('alice'), tally.of('bob'), tally.total]).toEqual([1, 0, 1])
})
