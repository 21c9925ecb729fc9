import { mock } from 'node:test'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { callAfter, cappedMs, MAX_TIMER_MS, pause } from './timers.ts'

const DAY_MS = 86_400_000

describe('callAfter', () => {
  let now = 0
  const advance = (milliseconds: number) => {
    // In steps, because Node's timers fire once per tick.
    for (let left = milliseconds; left > 0; left -= DAY_MS) {
      now += Math.min(left, DAY_MS)
      mock.timers.tick(Math.min(left, DAY_MS))
    }
  }
  beforeEach(() => {
    now = 0
    mock.timers.enable({ apis: ['setTimeout'] })
    mock.method(performance, 'now', () => now)
  })
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  it.each([
    ['a second', 1_000],
    ['30 days, a refresh hint that used to fire immediately', 30 * DAY_MS],
    ['a year', 365 * DAY_MS],
    ['one more than the maximum delay of a timer', MAX_TIMER_MS + 1],
  ])('waits for %s', (_name, milliseconds) => {
    let called = 0
    callAfter(milliseconds, () => {
      called += 1
    })
    advance(milliseconds - 1)
    expect(called).toBe(0)
    advance(1)
    expect(called).toBe(1)
    advance(365 * DAY_MS)
    expect(called).toBe(1)
  })

  it('never fires for Infinity', () => {
    let called = 0
    callAfter(Infinity, () => {
      called += 1
    })
    advance(1_000 * DAY_MS)
    expect(called).toBe(0)
  })

  it('can be canceled in a later part of a long wait', () => {
    let called = 0
    const cancel = callAfter(60 * DAY_MS, () => {
      called += 1
    })
    advance(40 * DAY_MS)
    cancel()
    advance(40 * DAY_MS)
    expect(called).toBe(0)
  })

  it('calls back for a past time, but after the caller returns', () => {
    let called = 0
    callAfter(-DAY_MS, () => {
      called += 1
    })
    expect(called).toBe(0)
    mock.timers.tick(1)
    expect(called).toBe(1)
  })

  it('rejects NaN', () => {
    expect(() => callAfter(Number.NaN, () => {})).toThrow(
      new RangeError('A delay must be a number of milliseconds, not NaN.'),
    )
  })
})

describe('with Node’s timers, which have 31 bits', () => {
  it('does not fire long delays immediately or wake up repeatedly', async () => {
    const set = mock.method(globalThis, 'setTimeout')
    const fired: number[] = []
    const cancels = [2 ** 31, 30 * DAY_MS, 1e15, Infinity].map((delay) =>
      callAfter(delay, () => fired.push(delay)),
    )
    await pause(20)
    for (const cancel of cancels) cancel()
    const { calls } = set.mock
    mock.restoreAll()
    expect(fired).toEqual([])
    expect(calls.length).toBeLessThan(10)
  })
})

describe('pause', () => {
  it('ends after its time or with the signal, whichever is first', async () => {
    await pause(1)
    const stop = new AbortController()
    const paused = pause(Infinity, stop.signal)
    stop.abort()
    await paused
    await pause(Infinity, stop.signal)
  })
})

describe('cappedMs', () => {
  it.each([
    [5, 5],
    [-1, 0],
    [2 ** 31, MAX_TIMER_MS],
    [Infinity, MAX_TIMER_MS],
  ])('%d: %d', (given, capped) => expect(cappedMs(given)).toBe(capped))
})
