import { silentLog } from '@hallpass/service-kit'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { add, conflict, follow, limits, until } from '../testing/follow-log.ts'
import { RedisEventLog } from './redis-event-log.ts'

describeWith('redis-server', 'apt-get install redis-server')('a log in Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())
  const create = (stream: string) => new RedisEventLog({ url: redis.url, stream, log: silentLog, limits })

  it('stores a publication once that several servers get at the same time, and the first of two with one ID', async () => {
    const servers = [create('raced'), create('raced')]
    await Promise.all(servers.map((log) => log.start()))
    const seen = follow(servers[0] as RedisEventLog)
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        Promise.all([
          ...servers.map((log) => add(log, { data: `same ${index}`, id: `same-${index}` })),
          ...servers.map((log, which) =>
            add(log, { data: `${which} ${index}`, id: `other-${index}` }).catch(({ code }) => code),
          ),
        ]),
      ),
    )
    outcomes.forEach((outcome, index) => {
      expect(outcome.slice(0, 2)).toEqual([`same-${index}`, `same-${index}`])
      expect(outcome.slice(2).sort()).toEqual(['id_conflict', `other-${index}`])
    })
    await until(() => seen.length === 100)
    expect(await redis.command('XLEN', 'raced')).toEqual(['100'])
    await Promise.all(servers.map((log) => log.stop()))
  })

  it('stores a publication once that was sent while Redis hung, and that is repeated', async () => {
    const log = create('hung')
    await log.start()
    const seen = follow(log)
    const publication = { data: 'once', id: '7' }
    redis.freeze()
    const first = add(log, publication)
    await expect(first).rejects.toMatchObject({ code: 'log_unavailable' })
    redis.thaw()
    const again = create('hung')
    await again.start()
    expect(await add(again, publication)).toBe('7')
    await until(() => seen.length === 1)
    expect(await redis.command('XLEN', 'hung')).toEqual(['1'])
    await Promise.all([log.stop(), again.stop()])
  })

  it('finds an ID after a restart of the server and of Redis', async () => {
    const first = create('restarted')
    await first.start()
    await add(first, { data: 'a', id: '7' })
    await first.stop()
    await redis.kill()
    await redis.start()
    const second = create('restarted')
    await second.start()
    expect(await add(second, { data: 'a', id: '7' })).toBe('7')
    await expect(add(second, { data: 'b', id: '7' })).rejects.toMatchObject(conflict(0))
    expect(await redis.command('XLEN', 'restarted')).toEqual(['1'])
    await second.stop()
  })

  it('keeps hardly more IDs than events, however many are published', async () => {
    const log = create('many')
    await log.start()
    for (let batch = 0; batch < 20; batch += 1)
      await log.append(Array.from({ length: 100 }, (_, index) => ({ data: 'x', id: `${batch}/${index}` })))
    const [events, ids] = await Promise.all([
      redis.command('XLEN', 'many'),
      redis.command('HLEN', 'many:ids'),
    ])
    // A quarter of a sample is stale when as many IDs are forgotten as are added.
    expect(Number(ids)).toBeLessThanOrEqual(2 * Number(events))
    await log.stop()
  })

  it('still reports a gap for an ID that an older version stored twice', async () => {
    for (const data of ['1', '2']) await redis.command('XADD', 'old', '*', 'data', data, 'id', '7')
    const log = create('old')
    await log.start()
    expect(log.ring.after('7', undefined)).toEqual({ position: 0, gap: true })
    await log.stop()
  })
})
