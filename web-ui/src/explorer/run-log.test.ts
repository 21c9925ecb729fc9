import { expect, it } from '@jest/globals'
import { RunLog } from './run-log.ts'

const run = (id: number) => ({
  traceId: String(id),
  scenario: 3,
  fault: undefined,
  curl: 'curl',
  startedAt: id,
})
const result = (answer: string) => ({ status: 200, answer, durationMs: 1, curl: 'curl' })

it('stores each result with its own run, in whatever order they arrive', () => {
  const log = new RunLog()
  log.begin(run(1))
  log.begin(run(2))
  log.end('2', result('newer'))
  log.end('1', result('older'))
  log.end('3', result('of no run'))
  expect(log.list().map(({ traceId, result }) => [traceId, result?.answer])).toEqual([
    ['2', 'newer'],
    ['1', 'older'],
  ])
})

it('keeps the last hundred runs, and drops the late result of a dropped run', () => {
  const log = new RunLog()
  for (let id = 0; id <= 100; id += 1) log.begin(run(id))
  log.end('0', result('late'))
  expect([log.list().length, log.has('0'), log.has('100'), log.list()[0]?.traceId]).toEqual([
    100,
    false,
    true,
    '100',
  ])
})
