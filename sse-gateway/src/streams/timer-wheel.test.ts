import { ManualClock } from '@hallpass/service-kit/testing'
import { afterEach, describe, expect, it } from '@jest/globals'
import { Deadline, TimerWheel } from './timer-wheel.ts'

const clock = new ManualClock()
let wheel = new TimerWheel(clock.now)
afterEach(() => {
  wheel.stop()
  wheel = new TimerWheel(clock.now)
})

function armed(inMs: number) {
  const fired: number[] = []
  const start = clock.now()
  const deadline = new Deadline((now) => fired.push(now - start))
  wheel.arm(deadline, start + inMs)
  return { deadline, fired }
}

/** Advances the clock in small steps, like real time. */
function pass(ms: number, stepMs = 5) {
  for (let passed = 0; passed < ms; passed += stepMs) {
    clock.advance(stepMs)
    wheel.turn()
  }
}

describe('TimerWheel', () => {
  it('fires a deadline at its time or up to one tick later, never earlier', () => {
    const deadlines = Array.from({ length: 200 }, (_, index) => ({ due: index * 7, ...armed(index * 7) }))
    pass(200 * 7 + 20)
    for (const { due, fired } of deadlines) {
      expect(fired).toHaveLength(1)
      expect(fired[0]).toBeGreaterThanOrEqual(due)
      expect(fired[0]).toBeLessThanOrEqual(due + 20)
    }
    expect(wheel.armed).toBe(0)
  })

  it('keeps a deadline that is many turns away', () => {
    const { fired } = armed(3_600_000)
    for (let minute = 0; minute < 59; minute += 1) pass(60_000, 10_000)
    expect(fired).toEqual([])
    pass(60_000, 10_000)
    expect(fired).toEqual([3_600_000])
  })

  it('fires everything that is due after the clock jumps, each once', () => {
    const deadlines = [10, 10_000, 20_480, 100_000].map((due) => armed(due))
    const later = armed(200_000)
    clock.advance(150_000)
    wheel.turn()
    wheel.turn()
    expect(deadlines.map(({ fired }) => fired)).toEqual([[150_000], [150_000], [150_000], [150_000]])
    expect(later.fired).toEqual([])
  })

  it('fires a deadline in the past at its next turn', () => {
    const { fired } = armed(-5_000)
    wheel.turn()
    expect(fired).toEqual([0])
  })

  it('waits for the original time if the clock is set back', () => {
    const { fired } = armed(100)
    clock.advance(-1_000)
    wheel.turn()
    pass(1_095)
    expect(fired).toEqual([])
    pass(25)
    expect(fired).toHaveLength(1)
  })

  it('does not fire a deadline that was disarmed or moved', () => {
    const gone = armed(50)
    const moved = armed(50)
    wheel.disarm(gone.deadline)
    wheel.arm(moved.deadline, clock.now() + 500)
    pass(400)
    expect([gone.fired, moved.fired]).toEqual([[], []])
    pass(200)
    expect(gone.fired).toEqual([])
    expect(moved.fired).toHaveLength(1)
  })

  it('can arm a deadline again from its own callback', () => {
    let times = 0
    const deadline: Deadline = new Deadline((now) => {
      times += 1
      if (times < 3) wheel.arm(deadline, now + 30)
    })
    wheel.arm(deadline, clock.now() + 30)
    pass(300)
    expect(times).toBe(3)
  })

  it('fires in real time, within 50 ms', async () => {
    const real = new TimerWheel(Date.now)
    const due = Date.now() + 100
    const at = await new Promise<number>((resolve) => real.arm(new Deadline(resolve), due))
    expect(at - due).toBeGreaterThanOrEqual(0)
    expect(at - due).toBeLessThanOrEqual(50)
  })
})
