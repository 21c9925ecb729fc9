import { describe, expect, it } from '@jest/globals'
import { GrpcError, status } from '../grpc/status.ts'
import { Backoff } from './backoff.ts'

const refused = new GrpcError(status.permissionDenied, 'no identity issued')
const unreachable = new GrpcError(status.unavailable, 'cannot reach it', { cause: { code: 'ENOENT' } })
const even = () => 0.5

const delays = (backoff: Backoff, error: Error, count: number) =>
  Array.from({ length: count }, () => backoff.next(error))

describe('Backoff', () => {
  it('is short at first, then a second longer each time, up to half a minute', () => {
    expect(delays(new Backoff(even), refused, 8)).toEqual([250, 250, 250, 250, 1000, 2000, 3000, 4000])
    expect(delays(new Backoff(even), refused, 50).at(-1)).toBe(30_000)
  })

  it('retries every second for an unreachable agent', () => {
    expect(delays(new Backoff(even), unreachable, 50).at(-1)).toBe(1000)
  })

  it('starts again after a response', () => {
    const backoff = new Backoff(even)
    delays(backoff, refused, 10)
    backoff.reset()
    expect(backoff.next(refused)).toBe(250)
  })

  it('varies the delay by a fifth', () => {
    expect(new Backoff(() => 0).next(refused)).toBe(200)
    expect(new Backoff(() => 1).next(refused)).toBeCloseTo(300)
  })
})
