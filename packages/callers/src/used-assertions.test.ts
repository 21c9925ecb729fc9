import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith, ManualClock } from '@hallpass/service-kit/testing'
import { LmdbStore, type SharedStore, storeFor, type Zone } from '@hallpass/token-store'
import { startRedis, type TestRedis } from '@hallpass/token-store/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { UsedAssertions } from './used-assertions.ts'

const clock = new ManualClock()
const inAMinute = () => clock.now() + 60_000

describe('UsedAssertions in memory', () => {
  it('accepts an assertion once until it expires, separately for each client', async () => {
    const used = new UsedAssertions(clock.now)
    expect(await used.use('a', 'jti', inAMinute())).toBe(true)
    expect(await used.use('a', 'jti', inAMinute())).toBe(false)
    expect(await used.use('b', 'jti', inAMinute())).toBe(true)
    clock.advance(60_000)
    expect(await used.use('a', 'jti', inAMinute())).toBe(true)
  })

  it('lets no client use the share of another', async () => {
    const used = new UsedAssertions(clock.now, undefined, 2)
    for (const jti of ['1', '2']) expect(await used.use('a', jti, inAMinute())).toBe(true)
    await expect(used.use('a', '3', inAMinute())).rejects.toMatchObject({
      status: 503,
      code: 'too_many_assertions',
      message: 'This client has too many unexpired assertions. Retry in a minute.',
    })
    expect(await used.use('b', '3', inAMinute())).toBe(true)
    clock.advance(60_000)
    expect(await used.use('a', '3', inAMinute())).toBe(true)
  })
})

describe('UsedAssertions in a store', () => {
  let folder: string
  let store: LmdbStore
  const open = async () => {
    const opened = new LmdbStore({ folder, clock: clock.now })
    await opened.open()
    return opened
  }
  const zoneOf = (opened: LmdbStore) => opened.zone('assertions', { pinned: true })
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'used-assertions-'))
    store = await open()
  })
  afterAll(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  it('accepts an assertion once at all replicas together, also when they get it concurrently', async () => {
    const replicas = [1, 2, 3].map(() => new UsedAssertions(clock.now, zoneOf(store)))
    const answers = await Promise.all(replicas.map((replica) => replica.use('a', 'jti', inAMinute())))
    expect(answers.filter(Boolean)).toHaveLength(1)
  })

  it('remembers them across a restart, with IDs of any length and content', async () => {
    const ids = ['x'.repeat(128), 'a:b *[c]\n', 'ü']
    const client = 'c'.repeat(2_000)
    const before = new UsedAssertions(clock.now, zoneOf(store))
    for (const jti of ids) expect(await before.use(client, jti, inAMinute())).toBe(true)
    await store.close()
    store = await open()
    const after = new UsedAssertions(clock.now, zoneOf(store))
    for (const jti of ids) expect(await after.use(client, jti, inAMinute())).toBe(false)
  })

  it('accepts none while the store is down, and the same one when it is back', async () => {
    let isDown = true
    const zone = zoneOf(store)
    const failing = {
      replace: (...entry: Parameters<Zone['replace']>) =>
        isDown ? Promise.reject(new Error('The shared store is not available.')) : zone.replace(...entry),
    } as Zone
    const used = new UsedAssertions(clock.now, failing)
    for (const _attempt of [1, 2])
      await expect(used.use('a', 'later', inAMinute())).rejects.toMatchObject({
        status: 503,
        code: 'assertions_unavailable',
        message:
          'Used assertions cannot be stored, so no assertion is accepted: The shared store is not available. Retry later.',
        headers: { 'retry-after': '1' },
      })
    isDown = false
    expect(await used.use('a', 'later', inAMinute())).toBe(true)
    expect(await used.use('a', 'later', inAMinute())).toBe(false)
  })
})

describeWith('redis-server', 'apt-get install redis-server')('UsedAssertions in Redis', () => {
  const redisClock = new ManualClock(Date.now())
  const later = () => redisClock.now() + 60_000
  let redis: TestRedis
  const stores: SharedStore[] = []
  const open = async () => {
    const store = storeFor({ redis: { url: redis.url }, storeFolder: '' }, { clock: redisClock.now })
    stores.push(store)
    await store.open()
    return store.zone('assertions', { pinned: true })
  }
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()))
    await redis.stop()
  })

  it('accepts an assertion once at two replicas, whatever the fraction of its expiry', async () => {
    const [one, other] = [
      new UsedAssertions(redisClock.now, await open()),
      new UsedAssertions(redisClock.now, await open()),
    ]
    for (const [jti, fraction] of [
      ['whole', 0],
      ['fraction', 0.25],
    ] as const) {
      expect(await one.use('a', jti, later() + fraction)).toBe(true)
      expect(await other.use('a', jti, later() + fraction)).toBe(false)
    }
  })

  it('accepts none while Redis is down, and recovers with it', async () => {
    const used = new UsedAssertions(redisClock.now, await open())
    await redis.kill()
    await expect(used.use('c', 'jti', later())).rejects.toMatchObject({
      status: 503,
      code: 'assertions_unavailable',
    })
    await redis.start()
    const deadline = performance.now() + 5_000
    const recovered = async () =>
      used.use('c', 'jti', later()).catch((error: { code: string }) => {
        if (performance.now() > deadline) throw error
        return undefined
      })
    let answer = await recovered()
    while (answer === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      answer = await recovered()
    }
    expect(answer).toBe(true)
  })
})
