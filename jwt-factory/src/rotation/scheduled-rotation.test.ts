import { silentLog } from '@hallpass/service-kit'
import { describe, expect, it } from '@jest/globals'
import { ClockWatch } from './clock-watch.ts'
import { planRotation, type RotatingKey, type RotationRules } from './rotation-plan.ts'
import { type RotatingKeys, type RotationOutcome, ScheduledRotation } from './scheduled-rotation.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const rules: RotationRules = { everyMs: DAY, publishAheadMs: 22 * MINUTE, issuer: 'https://jwt-factory/' }
const START = Date.parse('2026-01-01T00:00:00Z')

/** The time of all machines, and each machine's error. */
class World {
  elapsedMs = 0
  advance(milliseconds: number) {
    this.elapsedMs += milliseconds
  }
}

interface Event {
  readonly at: number
  readonly keyId: string
  readonly what: 'published' | 'rotated'
}

/** What a store has: the keys, shared by the replicas, and one lease. */
class Shared {
  readonly rings = new Map<string, RotatingKey>()
  readonly events: Event[] = []
  leasedUntil = 0
  failures = 0
  mostAtOnce = 0
  #atOnce = 0
  #made = 0
  readonly world: World

  constructor(world: World) {
    this.world = world
  }

  create(keyId: string, sinceMs: number) {
    this.rings.set(keyId, { keyId, signing: { kid: this.#kid(keyId), sinceMs } })
  }

  as(clock: () => number): RotatingKeys {
    return {
      list: async () => [...this.rings.values()],
      publishNext: (keyId) =>
        this.#during(() => {
          const ring = this.rings.get(keyId) as RotatingKey
          if (ring.next) return
          this.rings.set(keyId, { ...ring, next: { kid: this.#kid(keyId), sinceMs: clock() } })
          this.events.push({ at: this.world.elapsedMs, keyId, what: 'published' })
        }),
      rotate: (keyId, signingKid) =>
        this.#during(() => {
          const { signing, next } = this.rings.get(keyId) as RotatingKey
          if (signing.kid !== signingKid || !next) return false
          this.rings.set(keyId, { keyId, signing: { kid: next.kid, sinceMs: clock() } })
          this.events.push({ at: this.world.elapsedMs, keyId, what: 'rotated' })
          return true
        }),
    }
  }

  lease = async (milliseconds: number) => {
    if (this.leasedUntil > this.world.elapsedMs) return undefined
    this.leasedUntil = this.world.elapsedMs + milliseconds
    return {
      release: async () => {
        this.leasedUntil = 0
      },
    }
  }

  /** How long each key that signs had been published when it began to, in real time. */
  get leads(): number[] {
    const published = new Map<string, number>()
    return this.events.flatMap(({ at, keyId, what }) => {
      if (what === 'rotated') return [at - (published.get(keyId) ?? Number.NaN)]
      published.set(keyId, at)
      return []
    })
  }

  rotations(keyId?: string): Event[] {
    return this.events.filter((event) => event.what === 'rotated' && (!keyId || event.keyId === keyId))
  }

  #kid(keyId: string) {
    this.#made += 1
    return `${keyId}-${this.#made}`
  }

  async #during<T>(work: () => T): Promise<T> {
    this.#atOnce += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce)
    await Promise.resolve()
    this.#atOnce -= 1
    if (this.failures > 0) {
      this.failures -= 1
      throw new Error('the disk is full')
    }
    return work()
  }
}

function replica(world: World, shared: Shared, options: { keys?: RotatingKeys } = {}) {
  const machine = { skewMs: 0, startedAt: world.elapsedMs }
  const clock = () => START + world.elapsedMs + machine.skewMs
  const monotonic = () => world.elapsedMs - machine.startedAt
  const jumps: number[] = []
  const outcomes: RotationOutcome[] = []
  const clockWatch = new ClockWatch({ clock, monotonic, onJump: (ms) => jumps.push(ms) })
  const rotation = new ScheduledRotation({
    rules,
    keys: options.keys ?? shared.as(clock),
    lease: shared.lease,
    clock,
    monotonic,
    clockWatch,
    log: silentLog,
    onOutcome: (outcome) => outcomes.push(outcome),
  })
  return { machine, clock, jumps, outcomes, rotation }
}

/** Runs the replicas for a time: each looks when it wants to. */
async function run(world: World, replicas: readonly { rotation: ScheduledRotation }[], milliseconds: number) {
  const until = world.elapsedMs + milliseconds
  const next = replicas.map(() => world.elapsedMs)
  while (Math.min(...next) < until) {
    world.elapsedMs = Math.min(...next)
    for (const [index, one] of replicas.entries())
      if (next[index] === world.elapsedMs) next[index] = world.elapsedMs + (await one.rotation.work())
  }
  world.elapsedMs = until
}

function setUp(keyIds: readonly string[] = ['servicea']) {
  const world = new World()
  const shared = new Shared(world)
  for (const keyId of keyIds) shared.create(keyId, START)
  return { world, shared }
}

/** Returns the numbers of events in each hour that has any. */
function perHour(times: readonly number[]): number[] {
  const hours = new Map<number, number>()
  for (const at of times) hours.set(Math.floor(at / HOUR), (hours.get(Math.floor(at / HOUR)) ?? 0) + 1)
  return [...hours.values()]
}

describe('planRotation', () => {
  it('spreads 10,000 key IDs evenly over half a period', () => {
    const times = Array.from({ length: 10_000 }, (_, index) => {
      const signing = { kid: 'k', sinceMs: START }
      return planRotation({ keyId: `service-${index}`, signing }, rules, START).rotateAtMs - START
    })
    expect(Math.min(...times)).toBeGreaterThanOrEqual(DAY / 2)
    expect(Math.max(...times)).toBeLessThanOrEqual(DAY)
    // 833 an hour, if they were spread perfectly.
    expect(Math.max(...perHour(times))).toBeLessThan(930)
    expect(Math.min(...perHour(times))).toBeGreaterThan(740)
  })
})

describe('ScheduledRotation', () => {
  it('rotates a key once per period, each published 22 minutes before it signs', async () => {
    const { world, shared } = setUp()
    await run(world, [replica(world, shared)], 10 * DAY)
    const times = shared.rotations().map(({ at }) => at)
    expect(times).toHaveLength(10)
    expect(times[0]).toBeGreaterThan(DAY / 2)
    expect(times[0]).toBeLessThanOrEqual(DAY)
    for (const [index, at] of times.slice(1).entries())
      expect(Math.abs(at - (times[index] as number) - DAY)).toBeLessThan(2 * MINUTE)
    for (const lead of shared.leads) expect(lead).toBeGreaterThanOrEqual(rules.publishAheadMs)
    expect(Math.max(...shared.leads)).toBeLessThan(rules.publishAheadMs + 2 * MINUTE)
  })

  it('spreads key IDs that were created together over half a period, two at a time', async () => {
    const { world, shared } = setUp(Array.from({ length: 300 }, (_, index) => `service-${index}`))
    await run(world, [replica(world, shared)], DAY)
    const first = new Map<string, number>()
    for (const { keyId, at } of shared.rotations()) if (!first.has(keyId)) first.set(keyId, at)
    expect(first.size).toBe(300)
    expect(perHour([...first.values()]).length).toBeGreaterThanOrEqual(12)
    expect(shared.mostAtOnce).toBeLessThanOrEqual(2)
    expect(Math.min(...shared.leads)).toBeGreaterThanOrEqual(rules.publishAheadMs)
  })

  it('makes up for a downtime of 10,000 key IDs two at a time', async () => {
    const { world, shared } = setUp(Array.from({ length: 10_000 }, (_, index) => `service-${index}`))
    world.advance(3 * DAY)
    const one = replica(world, shared)
    const startedAt = performance.now()
    await one.rotation.work()
    expect(shared.events).toHaveLength(10_000)
    expect(shared.mostAtOnce).toBe(2)
    world.advance(rules.publishAheadMs)
    await one.rotation.work()
    expect(shared.rotations()).toHaveLength(10_000)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })

  it('makes up for a downtime of ten periods with one rotation, after the next key was published', async () => {
    const { world, shared } = setUp()
    await run(world, [replica(world, shared)], DAY)
    const before = shared.rotations().length
    world.advance(10 * DAY)
    const again = replica(world, shared)
    await run(world, [again], HOUR)
    expect(shared.rotations().length).toBe(before + 1)
    await run(world, [again], DAY / 2 - HOUR)
    expect(shared.rotations().length).toBe(before + 1)
    expect(Math.min(...shared.leads)).toBeGreaterThanOrEqual(rules.publishAheadMs)
  })

  it('rotates immediately after a downtime if the next key was published before it', async () => {
    const { world, shared } = setUp()
    await run(world, [replica(world, shared)], DAY / 2)
    const due = planRotation(shared.rings.get('servicea') as RotatingKey, rules, START).rotateAtMs - START
    await run(world, [replica(world, shared)], due - world.elapsedMs - 10 * MINUTE)
    expect(shared.rings.get('servicea')?.next).toBeDefined()
    world.advance(3 * DAY)
    await run(world, [replica(world, shared)], 2_000)
    expect(shared.rotations()).toHaveLength(1)
  })

  it('rotates each key once with three replicas whose clocks differ', async () => {
    const { world, shared } = setUp(Array.from({ length: 50 }, (_, index) => `service-${index}`))
    const replicas = [replica(world, shared), replica(world, shared), replica(world, shared)]
    for (const [index, { machine }] of replicas.entries()) machine.skewMs = (index - 1) * 5_000
    await run(world, replicas, 3 * DAY)
    for (const keyId of shared.rings.keys()) {
      const times = shared.rotations(keyId).map(({ at }) => at)
      expect([2, 3]).toContain(times.length)
      for (const [index, at] of times.slice(1).entries())
        expect(at - (times[index] as number)).toBeGreaterThan(DAY - 5 * MINUTE)
    }
    // The skew counts: 5 s of the 22 minutes.
    expect(Math.min(...shared.leads)).toBeGreaterThanOrEqual(rules.publishAheadMs - 10_000)
  })

  it('continues when the replica that holds the lease is killed', async () => {
    const { world, shared } = setUp()
    await shared.lease(60_000)
    world.advance(DAY)
    shared.leasedUntil = world.elapsedMs + 60_000
    const other = replica(world, shared)
    await run(world, [other], 30_000)
    expect(shared.events).toEqual([])
    await run(world, [other], 40_000)
    expect(shared.events.map(({ what }) => what)).toEqual(['published'])
  })

  it('does not sign with a new key earlier when the clock is set forward', async () => {
    const { world, shared } = setUp()
    const one = replica(world, shared)
    world.advance(DAY)
    await run(world, [one], MINUTE)
    expect(shared.rings.get('servicea')?.next).toBeDefined()
    one.machine.skewMs = 30 * DAY
    await run(world, [one], 20 * MINUTE)
    expect(shared.rotations()).toEqual([])
    expect(one.jumps).toEqual([30 * DAY])
    await run(world, [one], 5 * MINUTE)
    expect(shared.rotations()).toHaveLength(1)
    expect(Math.min(...shared.leads)).toBeGreaterThanOrEqual(rules.publishAheadMs)
  })

  it('rotates again soon after a clock that was a year ahead has been set back', async () => {
    const { world, shared } = setUp()
    const wrong = replica(world, shared)
    wrong.machine.skewMs = 365 * DAY
    await run(world, [wrong], HOUR)
    expect(shared.rotations()).toHaveLength(1)
    const right = replica(world, shared)
    await run(world, [right], HOUR)
    expect(shared.rotations()).toHaveLength(2)
    expect(shared.rings.get('servicea')?.signing.sinceMs).toBe(right.clock() - HOUR + rules.publishAheadMs)
    await run(world, [right], 11 * HOUR)
    expect(shared.rotations()).toHaveLength(2)
  })

  it('signs with a next key whose publication is in the future, once it has seen it for long enough', async () => {
    const { world, shared } = setUp()
    world.advance(DAY)
    const ring = shared.rings.get('servicea') as RotatingKey
    shared.rings.set('servicea', { ...ring, next: { kid: 'from-the-future', sinceMs: START + 900 * DAY } })
    await run(world, [replica(world, shared)], 21 * MINUTE)
    expect(shared.rotations()).toEqual([])
    await run(world, [replica(world, shared)], 23 * MINUTE)
    expect(shared.rotations()).toHaveLength(1)
  })

  it('begins no work after half of its lease', async () => {
    const { world, shared } = setUp(['a', 'b', 'c', 'd'])
    world.advance(2 * DAY)
    const keys = shared.as(() => START + world.elapsedMs)
    const slow = async (keyId: string) => {
      world.advance(20_000)
      await keys.publishNext(keyId)
    }
    const one = replica(world, shared, { keys: { ...keys, publishNext: slow } })
    expect(await one.rotation.work()).toBe(1_000)
    expect(shared.events.map(({ keyId }) => keyId)).toEqual(['a', 'b'])
  })

  it('retries a failed rotation with growing pauses, and reports it as overdue', async () => {
    const { world, shared } = setUp()
    world.advance(2 * DAY)
    shared.failures = 8
    const one = replica(world, shared)
    await run(world, [one], 3 * MINUTE)
    // At 0, 1, 3, 7, 15, 31, 63 and 127 s.
    expect(one.outcomes).toEqual(Array(8).fill('failed'))
    expect(one.rotation.figures).toEqual({ overdue: 1, overdueMs: expect.any(Number) })
    expect(one.rotation.figures.overdueMs).toBeGreaterThan(DAY)
    await run(world, [one], 30 * MINUTE)
    expect(one.outcomes.slice(8)).toEqual(['published', 'rotated'])
    expect(one.rotation.figures).toEqual({ overdue: 0, overdueMs: 0 })
  })

  it('lets the other key IDs rotate while one fails', async () => {
    const { world, shared } = setUp(['bad', 'good'])
    world.advance(2 * DAY)
    const clock = () => START + world.elapsedMs
    const keys = shared.as(clock)
    const one = replica(world, shared, {
      keys: {
        ...keys,
        publishNext: async (keyId) => {
          if (keyId === 'bad') throw new Error('the HSM has no such slot')
          await keys.publishNext(keyId)
        },
      },
    })
    await run(world, [one], HOUR)
    expect([shared.rotations('good').length, shared.rotations('bad').length]).toEqual([1, 0])
  })

  it('recovers when the store does', async () => {
    const { world, shared } = setUp()
    world.advance(2 * DAY)
    const keys = shared.as(() => START + world.elapsedMs)
    let isAway = true
    const one = replica(world, shared, {
      keys: {
        ...keys,
        list: async () => {
          if (isAway) throw new Error('The shared store is not available (closed).')
          return keys.list()
        },
      },
    })
    await run(world, [one], HOUR)
    expect(one.outcomes.length).toBeGreaterThan(10)
    expect(new Set(one.outcomes)).toEqual(new Set(['failed']))
    isAway = false
    await run(world, [one], 10 * MINUTE)
    expect(one.outcomes.at(-1)).toBe('published')
  })

  it('does not rotate a key that was rotated by hand a moment ago', async () => {
    const { world, shared } = setUp()
    const due = planRotation(shared.rings.get('servicea') as RotatingKey, rules, START).rotateAtMs - START
    const one = replica(world, shared)
    await run(world, [one], due - MINUTE)
    await shared.as(() => START + world.elapsedMs).rotate('servicea', 'servicea-1')
    await run(world, [one], 11 * HOUR)
    expect(shared.rotations()).toHaveLength(1)
  })

  it('plans for periods longer than a timer can wait', async () => {
    const { world, shared } = setUp()
    const keys = shared.as(() => START + world.elapsedMs)
    const clock = () => START + world.elapsedMs
    const monotonic = () => world.elapsedMs
    const rotation = new ScheduledRotation({
      rules: { ...rules, everyMs: 365 * DAY },
      keys,
      lease: shared.lease,
      clock,
      monotonic,
      clockWatch: new ClockWatch({ clock, monotonic, onJump: () => {} }),
      log: silentLog,
      onOutcome: () => {},
    })
    expect(await rotation.work()).toBe(MINUTE)
    world.advance(365 * DAY)
    await rotation.work()
    expect(shared.events).toEqual([{ at: 365 * DAY, keyId: 'servicea', what: 'published' }])
  })

  it('looks again on its own after start, and stops', async () => {
    const { world, shared } = setUp()
    world.advance(2 * DAY)
    const one = replica(world, shared)
    one.rotation.start()
    while (one.outcomes.length === 0) await new Promise(setImmediate)
    await one.rotation.stop()
    expect(one.outcomes).toEqual(['published'])
  })
})
