import net, { type AddressInfo } from 'node:net'
import { silentLog } from '@hallpass/service-kit'
import { describeWith, ManualClock } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import type { Publication } from '../publication/index.ts'
import { add, conflict, follow, held, limits, until } from '../testing/follow-log.ts'
import type { EventLog } from './event-log.ts'
import { MemoryEventLog } from './memory-event-log.ts'
import { RedisEventLog } from './redis-event-log.ts'

/** A connection to Redis that can be interrupted for one server only. */
async function cuttableWire(to: number) {
  const sockets = new Set<net.Socket>()
  let server = net.createServer()
  let port = 0
  const mend = async () => {
    server = net.createServer((near) => {
      const far = net.connect(to, '127.0.0.1')
      for (const socket of [near, far]) {
        sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => sockets.delete(socket))
      }
      near.pipe(far).pipe(near)
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  }
  await mend()
  return {
    url: `redis://127.0.0.1:${port}`,
    mend,
    async cut() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function contract(create: () => EventLog) {
  let log: EventLog
  const started = async () => {
    log = create()
    await log.start()
    return log
  }
  afterEach(() => log.stop())

  it('reports each event once, in order, under the ID that the publisher got', async () => {
    const seen = follow(await started())
    const ids = await Promise.all(Array.from({ length: 50 }, (_, index) => add(log, { data: `${index}` })))
    await until(() => seen.length === 50)
    expect(seen).toEqual(Array.from({ length: 50 }, (_, index) => `${index}`))
    expect(held(log)).toEqual(ids.map((id, index) => `id:${id}\ndata:${index}\n\n`))
    expect(new Set(ids).size).toBe(50)
    expect(log.loaded).toBe(true)
    expect(() => log.check()).not.toThrow()
  })

  it('stores every field', async () => {
    const seen = follow(await started())
    const id = await add(log, { data: 'a\nb', event: 'e', id: 'é 7', retry: 0, topic: 't' })
    await until(() => seen.length === 1)
    expect([id, held(log)]).toEqual(['é 7', ['retry:0\nid:é 7\nevent:e\ndata:a\ndata:b\n\n']])
    expect(log.ring.at(log.ring.tail)?.topic).toBe('t')
  })

  it('has increasing IDs, and replays from each of them', async () => {
    const seen = follow(await started())
    const first = await add(log, { data: '1' })
    await add(log, { data: '2' })
    await until(() => seen.length === 2)
    const { position, gap } = log.ring.after(first, undefined)
    expect([log.ring.head - position, gap]).toEqual([1, false])
  })

  it('stores no more than its limit, and then reports a gap', async () => {
    const seen = follow(await started())
    const first = await add(log, { data: 'first' })
    await Promise.all(Array.from({ length: 150 }, () => add(log, { data: 'x' })))
    await until(() => seen.length === 151)
    expect([log.ring.size, log.ring.after(first, undefined).gap]).toEqual([100, true])
  })

  it('stores a publication once that is repeated with its ID, its topic and the same content', async () => {
    const seen = follow(await started())
    const publication = { data: 'a\nb', event: 'e', id: 'é 7', retry: 5, topic: 't' }
    const ids = await Promise.all([1, 2, 3].map(() => add(log, publication)))
    await add(log, { data: 'last' })
    await until(() => seen.at(-1) === 'last')
    expect([ids, seen]).toEqual([
      ['é 7', 'é 7', 'é 7'],
      ['a', 'last'],
    ])
    expect(held(log)).toHaveLength(2)
    expect(log.ring.after('é 7', new Set(['t']))).toEqual({ position: 1, gap: false })
  })

  it.each<[string, Publication]>([
    ['data', { data: 'b', id: '7' }],
    ['data and type', { data: 'b', id: '7', event: 'e' }],
    ['type', { data: 'a', id: '7', event: 'e' }],
    ['retry', { data: 'a', id: '7', retry: 1 }],
    ['data missing', { id: '7' }],
  ])('rejects a stored ID with other content: %s', async (_what, other) => {
    const seen = follow(await started())
    await add(log, { data: 'a', id: '7' })
    await expect(add(log, other)).rejects.toMatchObject(conflict(0))
    await add(log, { data: 'last' })
    await until(() => seen.at(-1) === 'last')
    expect(seen).toEqual(['a', 'last'])
  })

  it('stores the same ID once per topic', async () => {
    const seen = follow(await started())
    for (const topic of ['x', undefined, 'y', 'x'])
      await add(log, { data: `${topic}`, id: '7', ...(topic === undefined ? {} : { topic }) })
    await until(() => seen.length === 3)
    expect(seen).toEqual(['x', 'undefined', 'y'])
  })

  it('stores all publications of a batch, in order, or none', async () => {
    const seen = follow(await started())
    expect(await log.append([{ data: '1', id: 'a' }, { data: '2' }, { data: '1', id: 'a' }])).toEqual([
      'a',
      expect.stringMatching(/^\d+-\d+$/),
      'a',
    ])
    const batch = [{ data: '3' }, { data: '4', id: 'b' }]
    await expect(log.append([...batch, { data: '5', id: 'a' }])).rejects.toMatchObject(conflict(2, 'a'))
    await expect(log.append([...batch, { data: '5', id: 'b' }])).rejects.toMatchObject(conflict(2, 'b'))
    await add(log, { data: 'last' })
    await until(() => seen.at(-1) === 'last')
    expect(seen).toEqual(['1', '2', 'last'])
  })

  it('accepts an ID again that is no longer stored', async () => {
    const seen = follow(await started())
    await add(log, { data: 'first', id: '7' })
    // Redis drops entries a hundred at a time.
    await log.append(Array.from({ length: 250 }, () => ({ data: 'x' })))
    expect(await add(log, { data: 'second', id: '7' })).toBe('7')
    await until(() => seen.at(-1) === 'second')
    await log.clear()
    expect(await add(log, { data: 'third', id: '7' })).toBe('7')
    await until(() => seen.at(-1) === 'third')
  })

  it('deletes everything when it is cleared, and continues', async () => {
    const seen = follow(await started())
    const before = await add(log, { data: 'old' })
    await until(() => seen.length === 1)
    await add(log, { data: 'older than the clearing' })
    await log.clear()
    await add(log, { data: 'new' })
    await until(() => seen.at(-1) === 'new')
    expect(held(log)).toEqual([expect.stringContaining('data:new')])
    expect(log.ring.after(before, undefined).gap).toBe(true)
  })
}

describe('the event log in memory', () => {
  contract(() => new MemoryEventLog(Date.now, limits))

  it('has increasing IDs even if the clock stands still or is set back', async () => {
    const clock = new ManualClock()
    const log = new MemoryEventLog(clock.now, limits)
    const start = clock.now()
    const ids = [await add(log, { data: '1' }), await add(log, { data: '2' })]
    clock.advance(-5000)
    ids.push(await add(log, { data: '3' }))
    clock.advance(6000)
    ids.push(await add(log, { data: '4' }))
    expect(ids).toEqual([`${start}-1`, `${start}-2`, `${start}-3`, `${start + 1000}-0`])
  })
})

describeWith('redis-server', 'apt-get install redis-server')('the event log in Redis', () => {
  let redis: RedisServer
  let streams = 0
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())
  const create = (stream = `events-${streams++}`) =>
    new RedisEventLog({ url: redis.url, stream, log: silentLog, limits })

  contract(() => create())

  it('is one log for several servers, and a server that starts later or restarts loses nothing', async () => {
    const [one, two] = [create('shared'), create('shared')]
    await Promise.all([one.start(), two.start()])
    const [seenByOne, seenByTwo] = [follow(one), follow(two)]
    const id = await add(one, { data: 'from one' })
    await add(two, { data: 'from two' })
    await until(() => seenByOne.length === 2 && seenByTwo.length === 2)
    expect(seenByOne).toEqual(seenByTwo)
    await one.stop()
    await add(two, { data: 'meanwhile' })
    const again = create('shared')
    const seenAgain = follow(again)
    await again.start()
    // Events from before the start are only for replay; listeners are not called for them.
    expect([again.ring.after(id, undefined), seenAgain]).toEqual([{ position: 1, gap: false }, []])
    expect(held(again)).toHaveLength(3)
    await Promise.all([two.stop(), again.stop()])
  })

  it('reports a gap after a start if the event was trimmed before it', async () => {
    const writer = create('trimmed')
    await writer.start()
    const early = await add(writer, { data: 'early' })
    await until(() => writer.ring.size === 1)
    const fresh = create('trimmed')
    await fresh.start()
    expect(fresh.ring.after(early, undefined)).toEqual({ position: 1, gap: false })
    await Promise.all(Array.from({ length: 500 }, () => add(writer, { data: 'x' })))
    const late = create('trimmed')
    await late.start()
    expect([late.ring.after(early, undefined).gap, late.ring.size]).toEqual([true, 100])
    await Promise.all([writer.stop(), fresh.stop(), late.stop()])
  })

  it('rejects publications while Redis is unavailable, keeps its stored events, and recovers automatically', async () => {
    const log = create('killed')
    await log.start()
    const seen = follow(log)
    const before = await add(log, { data: 'before' })
    await until(() => seen.length === 1)
    await redis.kill()
    await expect(add(log, { data: 'lost' })).rejects.toMatchObject({
      status: 503,
      code: 'log_unavailable',
      message:
        'The event log does not respond, so it is unknown whether it stored the event. Publish it again with an id of your own, the same each time: then it is stored once.',
    })
    await until(() => {
      try {
        log.check()
        return false
      } catch {
        return true
      }
    })
    expect(log.ring.after(before, undefined)).toEqual({ position: 1, gap: false })
    await redis.start()
    await until(() => {
      try {
        log.check()
        return true
      } catch {
        return false
      }
    })
    await add(log, { data: 'after' })
    await until(() => seen.length === 2)
    expect(seen).toEqual(['before', 'after'])
    expect(log.ring.after(before, undefined)).toEqual({ position: 1, gap: false })
    await log.stop()
  })

  it('reports a gap if the stream dropped events while it was disconnected', async () => {
    const wire = await cuttableWire(redis.port)
    const log = new RedisEventLog({ url: wire.url, stream: 'away', log: silentLog, limits })
    await log.start()
    const seen = follow(log)
    let gaps = 0
    log.onGap(() => {
      gaps += 1
    })
    const before = await add(log, { data: 'before' })
    await until(() => seen.length === 1)

    // After a short interruption it misses nothing …
    const other = new Redis(redis.url)
    await wire.cut()
    await other.xadd('away', '*', 'data', 'meanwhile')
    await wire.mend()
    await until(() => seen.length === 2)
    expect([seen, gaps, log.ring.after(before, undefined).gap]).toEqual([['before', 'meanwhile'], 0, false])

    // … unless the last entry that it read has been trimmed.
    await wire.cut()
    for (let index = 0; index < 5; index += 1) await other.xadd('away', '*', 'data', `${index}`)
    await other.xtrim('away', 'MAXLEN', 2)
    await wire.mend()
    await until(() => seen.length === 4)
    expect([seen.slice(2), gaps, log.ring.after(before, undefined)]).toEqual([
      ['3', '4'],
      1,
      { position: 2, gap: true },
    ])
    other.disconnect()
    await log.stop()
    await wire.cut()
  })

  it('reports a gap if the store was emptied, while it was disconnected or between two starts', async () => {
    const wire = await cuttableWire(redis.port)
    const log = new RedisEventLog({ url: wire.url, stream: 'emptied', log: silentLog, limits })
    await log.start()
    const seen = follow(log)
    let gaps = 0
    log.onGap(() => {
      gaps += 1
    })
    const before = await add(log, { data: 'before' })
    await until(() => seen.length === 1)
    const other = new Redis(redis.url)
    await wire.cut()
    await other.xadd('emptied', '*', 'data', 'lost')
    await other.del('emptied')
    await wire.mend()
    await until(() => gaps === 1)
    await other.xadd('emptied', '*', 'data', 'after')
    await until(() => seen.length === 2)
    expect([seen, log.ring.after(before, undefined)]).toEqual([
      ['before', 'after'],
      { position: 1, gap: true },
    ])
    const later = create('emptied')
    await later.start()
    expect(later.ring.after(before, undefined)).toEqual({ position: 0, gap: true })
    other.disconnect()
    await Promise.all([log.stop(), later.stop()])
    await wire.cut()
  })

  it('skips invalid entries that another program wrote', async () => {
    const other = new Redis(redis.url)
    await other.xadd('foreign', '*', 'data', 'x', 'event', 'a\nb')
    await other.xadd('foreign', '*', 'data', 'x', 'event', 'end')
    await other.xadd('foreign', '*', 'data', 'x', 'id', '12-34')
    await other.xadd('foreign', '*', 'data', 'x', 'retry', '1e30')
    const log = create('foreign')
    await log.start()
    const seen = follow(log)
    await other.xadd('foreign', '*', 'id', '\0')
    await add(log, { data: 'good' })
    await until(() => seen.length === 1)
    expect([seen, held(log).length]).toEqual([['good'], 1])
    other.disconnect()
    await log.stop()
  })

  it('replaces an entry that readers would not accept by a gap with its ID and topic, live and for replay', async () => {
    const other = new Redis(redis.url)
    const large = ['data', '\n'.repeat(200_000)]
    await other.xadd('large', '*', ...large, 'id', 'stored', 'topic', 'news')
    const log = create('large')
    await log.start()
    const seen = follow(log)
    const position = await other.xadd('large', '*', ...large)
    await add(log, { data: 'after' })
    await until(() => seen.length === 2)
    const gap = '{"lastEventId":null,"oldest":null}'
    expect(seen).toEqual([gap, 'after'])
    expect(held(log).slice(0, 2)).toEqual([
      `id:stored\nevent:gap\ndata:${gap}\n\n`,
      `id:${position}\nevent:gap\ndata:${gap}\n\n`,
    ])
    expect(log.ring.at(log.ring.tail)?.topic).toBe('news')
    expect(log.ring.after('stored', new Set(['news']))).toEqual({ position: 1, gap: false })
    other.disconnect()
    await log.stop()
  })

  it('starts without Redis, is not ready, and loads once Redis is available', async () => {
    const stream = 'late'
    const writer = create(stream)
    await writer.start()
    await add(writer, { data: 'kept' })
    await writer.stop()
    await redis.kill()
    const log = create(stream)
    const seen = follow(log)
    await log.start()
    expect(log.loaded).toBe(false)
    expect(() => log.check()).toThrow('The event log does not respond')
    await redis.start()
    await until(() => log.loaded)
    expect([held(log).length, seen]).toEqual([1, []])
    await log.stop()
  })
})
