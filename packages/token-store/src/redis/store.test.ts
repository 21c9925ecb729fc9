import { describeWith, ManualClock } from '@hallpass/service-kit/testing'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { StoreFullError, UnsafeStoreError } from '../shared-store.ts'
import { startRedis, type TestRedis } from '../testing/redis.ts'
import { until } from '../testing/until.ts'
import { parseMemory } from './memory.ts'
import { RedisStore } from './store.ts'
import type { RedisZone } from './zone.ts'

const entry = () => ({ value: 'v', endsAt: Date.now() + 60_000 })

describeWith('redis-server', 'apt-get install redis-server')('a Redis store', () => {
  let redis: TestRedis
  let admin: Redis
  let store: RedisStore
  const notices: string[] = []
  beforeEach(async () => {
    notices.length = 0
    redis = await startRedis()
    admin = new Redis(redis.url)
    store = new RedisStore({ url: redis.url, onNotice: (notice) => notices.push(notice) })
    await store.open()
  })
  afterEach(async () => {
    await store.close()
    admin.disconnect()
    await redis.stop()
  })

  it('reports within half a second that Redis has lost everything, and distinguishes it from a cleared zone', async () => {
    const zone = store.zone('tokens')
    const heard: unknown[] = []
    zone.watch((change) => heard.push(change))
    await until(async () => zone.isWatching())
    heard.length = 0
    await zone.clear()
    await until(async () => heard.length > 0)
    expect(heard).toEqual(['cleared'])
    const flushed = performance.now()
    await admin.flushall()
    await until(async () => heard.length > 1)
    expect(heard[1]).toBe('emptied')
    expect(performance.now() - flushed).toBeLessThan(500)
  })

  it('stores pinned entries without a Redis expiry, and others with one', async () => {
    await store.zone('blocks', { pinned: true }).replace('k', undefined, entry())
    await store.zone('tokens').replace('k', undefined, entry())
    expect(await admin.ttl('{hallpass:blocks}:pinned')).toBe(-1)
    expect(await admin.ttl('hallpass:tokens:entry:k')).toBeGreaterThan(50)
  })

  it('is full when Redis is, and recovers automatically', async () => {
    await admin.config('SET', 'maxmemory', '1')
    await expect(store.zone('tokens').replace('k', undefined, entry())).rejects.toThrow(StoreFullError)
    await expect(store.check()).rejects.toThrow(
      'The shared store is full (Redis is out of memory: maxmemory is reached, and nothing can be evicted).',
    )
    await admin.config('SET', 'maxmemory', '0')
    await expect(store.check()).resolves.toBeUndefined()
    expect(notices).toEqual([expect.stringMatching(/^the store is full/), 'the store has room again'])
  })

  it.each([
    ['allkeys-lru', UnsafeStoreError],
    ['allkeys-random', UnsafeStoreError],
    ['volatile-ttl', undefined],
    ['volatile-lru', undefined],
    ['noeviction', undefined],
  ])('with maxmemory-policy %s fails its check with %s', async (policy, refusal) => {
    await admin.config('SET', 'maxmemory', '100mb')
    await admin.config('SET', 'maxmemory-policy', policy)
    const other = new RedisStore({ url: redis.url, onNotice: (notice) => notices.push(notice) })
    await other.open()
    const check = other.check()
    if (refusal) await expect(check).rejects.toThrow(refusal)
    else await expect(check).resolves.toBeUndefined()
    expect(notices).toEqual(
      refusal
        ? [
            `Redis may evict keys, revocations or blocks (maxmemory-policy ${policy}): set maxmemory-policy to volatile-lru`,
          ]
        : [],
    )
    expect(await other.usage()).toMatchObject({ evictionPolicy: policy, maxBytes: 100 * 2 ** 20 })
    await other.close()
  })

  it('notifies the operator once if a restart of Redis would lose pinned entries', async () => {
    const notice = expect.stringMatching(/a restart of Redis loses pinned entries .*: set appendonly to yes$/)
    await admin.config('SET', 'appendonly', 'no')
    const open = async (pinned: boolean) => {
      notices.length = 0
      const other = new RedisStore({ url: redis.url, onNotice: (text) => notices.push(text) })
      other.zone('z', { pinned })
      await other.open()
      await other.check()
      await other.close()
      return [...notices]
    }
    expect(await open(true)).toEqual([notice])
    expect(await open(false)).toEqual([])
    await admin.config('SET', 'appendonly', 'yes')
    expect(await open(true)).toEqual([])
  })

  it('keeps what was written when Redis with an append-only file that is always synced is killed', async () => {
    const durable = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
    const other = new RedisStore({ url: durable.url })
    try {
      await other.open()
      const zone = other.zone('keys', { pinned: true })
      for (let round = 0; round < 3; round += 1) {
        const written: string[] = []
        const writing = (async () => {
          for (let n = 0; ; n += 1) {
            if (!(await zone.replace(`key${round}-${n}`, undefined, entry()))) return
            written.push(`key${round}-${n}`)
          }
        })().catch(() => {})
        await until(async () => written.length > 50)
        await durable.kill()
        await writing
        await durable.start()
        await until(() =>
          zone.get('none').then(
            () => true,
            () => false,
          ),
        )
        for (const key of written) expect([key, (await zone.get(key))?.value]).toEqual([key, 'v'])
      }
    } finally {
      await other.close()
      await durable.stop()
    }
  }, 30_000)

  it('removes pinned entries from Redis a minute after they have expired', async () => {
    const clock = new ManualClock(Date.now())
    const other = new RedisStore({ url: redis.url, clock: clock.now })
    await other.open()
    const zone = other.zone('revocations', { pinned: true }) as RedisZone
    const endsAt = clock.now() + 1_000
    await Promise.all(
      Array.from({ length: 1_200 }, (_, n) => zone.replace(`gone${n}`, undefined, { value: 'v', endsAt })),
    )
    await zone.overrule('stays', { value: 'v', endsAt: endsAt + 60_000 })
    await zone.overrule('renewed', { value: 'v', endsAt })
    await zone.overrule('renewed', { value: 'v', endsAt: endsAt + 60_000 })
    clock.advance(60_999)
    await zone.sweep()
    expect(await zone.count()).toBe(1_202)
    clock.advance(1)
    await zone.sweep()
    expect((await admin.hkeys('{hallpass:revocations}:pinned')).sort()).toEqual(['renewed', 'stays'])
    expect(await admin.zcard('{hallpass:revocations}:ends')).toBe(2)
    await other.close()
  })

  it('that does not report its policy is used, and its operator gets a notice', async () => {
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-info', '-config')
    const other = new RedisStore({
      url: redis.url.replace('redis://', 'redis://app:secret@'),
      onNotice: (notice) => notices.push(notice),
    })
    await other.open()
    await expect(other.check()).resolves.toBeUndefined()
    expect(notices).toEqual([
      expect.stringContaining('Redis does not report its maxmemory-policy (INFO memory)'),
    ])
    await other.close()
  })
})

describe('parseMemory', () => {
  it('reads the reported figures, and leaves the others undefined', () => {
    expect(
      parseMemory('# Memory\r\nused_memory:1024\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n'),
    ).toEqual({
      used: 1024,
      max: 0,
      policy: 'noeviction',
    })
    expect(parseMemory('# Memory\r\n')).toEqual({ used: 0, max: 0, policy: undefined })
  })
})
