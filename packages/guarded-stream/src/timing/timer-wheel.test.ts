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

  describe('with more due deadlines than a slice fires', () => {
    /** Arms deadlines that each take a millisecond, and returns the order in which they fire. */
    function armBusy(dueIn: readonly number[]) {
      const fired: number[] = []
      const start = clock.now()
      const deadlines = dueIn.map((due, index) => {
        const deadline = new Deadline(() => {
          const until = performance.now() + 1
          while (performance.now() < until);
          fired.push(index)
        })
        wheel.arm(deadline, start + due)
        return deadline
      })
      return { deadlines, fired }
    }
    const indexes = (count: number) => Array.from({ length: count }, (_, index) => index)
    const turnOfLoop = () => new Promise((resolve) => setImmediate(resolve))
    async function untilFired() {
      while (wheel.armed > 0) await turnOfLoop()
    }

    it('leaves the event loop free between slices, and fires all of them in order of their times', async () => {
      // More than a turn of the wheel apart, so that they are not in the order of their slots.
      const due = indexes(60).map((index) => (index % 2 === 0 ? 30_000 - index : 15_000 + index))
      const { fired } = armBusy(due)
      clock.advance(40_000)
      let turns = 0
      wheel.turn()
      expect(fired.length).toBeLessThan(20)
      for (; wheel.armed > 0; turns += 1) await turnOfLoop()
      expect(turns).toBeGreaterThan(3)
      expect(fired.map((index) => due[index])).toEqual(due.toSorted((a, b) => a - b))
    })

    it('does not fire one that was disarmed or moved in between', async () => {
      const { deadlines, fired } = armBusy(indexes(40).map(() => 10))
      clock.advance(30)
      wheel.turn()
      wheel.disarm(deadlines[38] as Deadline)
      wheel.arm(deadlines[39] as Deadline, clock.now() + 1_000)
      while (wheel.armed > 1) await turnOfLoop()
      expect(fired).toEqual(indexes(38))
      pass(1_020)
      expect(fired.at(-1)).toBe(39)
      expect(wheel.armed).toBe(0)
    })

    it('fires later ones after them, and none twice', async () => {
      const { fired } = armBusy(indexes(30).map(() => 10))
      const later = armed(60)
      clock.advance(30)
      wheel.turn()
      clock.advance(60)
      wheel.turn()
      expect(later.fired).toEqual([])
      await untilFired()
      expect(fired).toEqual(indexes(30))
      expect(later.fired).toEqual([90])
    })

    it('fires all that are due when it finishes, and no others', async () => {
      const { fired } = armBusy([...indexes(20).map(() => 10), 5_000])
      clock.advance(30)
      wheel.turn()
      wheel.finish()
      expect(fired).toEqual(indexes(20))
      await turnOfLoop()
      expect(wheel.armed).toBe(1)
    })

    it('fires none after it was stopped', async () => {
      const { fired } = armBusy(indexes(40).map(() => 10))
      clock.advance(30)
      wheel.turn()
      const before = fired.length
      wheel.stop()
      await turnOfLoop()
      await turnOfLoop()
      expect(fired).toHaveLength(before)
    })
  })

  it('fires soon, but not immediately, what is made due', async () => {
    const { deadline, fired } = armed(60_000)
    wheel.fireSoon(deadline)
    expect([fired, wheel.armed]).toEqual([[], 1])
    await new Promise((resolve) => setImmediate(resolve))
    expect([fired, wheel.armed]).toEqual([[0], 0])
  })

  it('fires in real time, within 50 ms', async () => {
    const real = new TimerWheel(Date.now)
    const due = Date.now() + 100
    const at = await new Promise<number>((resolve) => real.arm(new Deadline(resolve), due))
    expect(at - due).toBeGreaterThanOrEqual(0)
    expect(at - due).toBeLessThanOrEqual(50)
  })
})
