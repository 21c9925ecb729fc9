import { describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

/** An event over MAX_EVENT_BYTES becomes a gap, which clients see, and stops nothing. */
const gateway = useGateway()
const GIVEN_UP = 'end:{"reason":"upstream_failed"}'
const GAP = 'gap:{"lastEventId":null,"oldest":null}'
const limit = { MAX_EVENT_BYTES: '1000' }
const large = (id: string) => `id:${id}\ndata:${'x'.repeat(2_000)}\n\n`

const skips = () =>
  gateway.log
    .split('\n')
    .filter((line) => line.includes('"event skipped"'))
    .map((line) => {
      const { level, path, bytes, limit, id } = JSON.parse(line)
      return { level, path, bytes, limit, id }
    })
const skip = (id: string) => ({ level: 40, path: '/events', bytes: 2_011, limit: 1_000, id })

async function counted(): Promise<string | undefined> {
  const { text } = await gateway.request('/metrics')
  return /^sse_skipped_events_total\{.*path="\/events".*\} (\d+)$/m.exec(text)?.[1]
}

/** Makes the upstream replay these events after the one that a request names. */
function replay(...log: readonly (readonly [id: string, wire: string])[]) {
  gateway.upstream.answer = (request, response) => {
    gateway.upstream.stream(request, response)
    const last = request.headers['last-event-id']
    const from = last === undefined ? log.length : log.findIndex(([id]) => id === last) + 1
    for (const [, wire] of log.slice(from)) response.write(wire)
  }
}

const small = (id: string): [string, string] => [id, `id:${id}\ndata:${id}\n\n`]

describe('an upstream event over the maximum size', () => {
  it('is a gap with its ID for live clients; later events arrive, and a client resumes after it', async () => {
    await gateway.start(limit)
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.send(`id:1\ndata:1\n\n${large('2')}id:3\ndata:${'y'.repeat(1_000)}\n\n`)
    await stream.until(({ events }) => events.length === 3)
    expect(stream.seen).toEqual(['1', GAP, 'y'.repeat(1_000)])
    expect(stream.events.map(({ id }) => id)).toEqual(['1', '2', '3'])
    const back = await gateway.open(await gateway.token(), 'http/1.1', { 'last-event-id': '2' })
    await back.until(({ events }) => events.length === 1)
    expect(back.events[0]?.id).toBe('3')
    expect(gateway.upstream.requests).toHaveLength(1)
    expect([skips(), await counted()]).toEqual([[skip('2')], '1'])
  })

  it('is a gap without an ID if it has none', async () => {
    await gateway.start(limit)
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.send(`id:1\ndata:1\n\ndata:${'x'.repeat(2_000)}\n\ndata:after\n\n`)
    await stream.until(({ events }) => events.length === 3)
    expect(stream.events.map(({ data, lastEventId }) => [data, lastEventId])).toEqual([
      ['1', '1'],
      ['{"lastEventId":null,"oldest":null}', '1'],
      ['after', '1'],
    ])
  })

  it('is a gap in a private replay', async () => {
    await gateway.start(limit)
    replay(small('1'), ['2', large('2')], small('3'))
    const stream = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '1' })
    await stream.until(({ events }) => events.length === 2)
    expect(stream.seen).toEqual([GAP, '3'])
    expect([skips(), await counted()]).toEqual([[skip('2')], '1'])
  })

  it('is a gap after a reconnect, and the next reconnect resumes after it', async () => {
    await gateway.start(limit)
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.send('id:1\ndata:1\n\n')
    await stream.until(({ events }) => events.length === 1)
    replay(small('1'), ['2', large('2')])
    gateway.upstream.streams[0]?.destroy()
    await stream.until(({ events }) => events.length === 2)
    gateway.upstream.streams[0]?.destroy()
    await gateway.upstream.until(({ requests }) => requests.length === 3)
    expect(gateway.upstream.requests.map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      '1',
      '2',
    ])
    expect([stream.seen, stream.ended, skips()]).toEqual([['1', GAP], 'no', [skip('2')]])
  })
})

describe('an upstream that accepts connections and loses each of them', () => {
  const ready = async () => {
    const { status, json } = await gateway.request('/readyz')
    return [status, json]
  }
  const notReady = (rounds: number) => [
    503,
    {
      status: 'not ready',
      failed: {
        'upstream of /events': `The upstream accepted ${rounds} connections in a row, and each was lost without a new event.`,
      },
    },
  ]

  it('without an event is given up: streams end with a reason, and the gateway is not ready until it flows', async () => {
    await gateway.start()
    gateway.upstream.answer = (request, response) => {
      gateway.upstream.stream(request, response)
      response.end(': accepted\n\n')
    }
    const stream = await gateway.open(await gateway.token())
    expect(await ready()).toEqual([200, { status: 'ready' }])
    await stream.end()
    expect([stream.ended, await ready()]).toEqual(['cut', notReady(6)])
    expect(gateway.upstream.requests).toHaveLength(6)
    expect(gateway.log).toContain('"msg":"upstream given up"')
    // A client that reconnects is not kept waiting again.
    const again = await gateway.open(await gateway.token(), 'http/1.1')
    await again.end()
    expect([again.ended, await ready()]).toEqual(['cut', notReady(7)])
    for (const { seen } of [stream, again]) expect(seen.at(-1)).toBe(GIVEN_UP)

    gateway.upstream.answer = (request, response) => gateway.upstream.stream(request, response)
    const late = await gateway.open(await gateway.token())
    expect((await ready())[0]).toBe(503)
    await gateway.until(async () => (await ready())[0] === 200, 10_000)
    gateway.upstream.send('data:at last\n\n')
    await late.until(({ events }) => events.length === 1)
  }, 30_000)

  it('after events that it has sent before is given up; when nobody needs it any more, the gateway is ready', async () => {
    await gateway.start(limit)
    gateway.upstream.answer = (request, response) => {
      gateway.upstream.stream(request, response)
      response.write(`id:1\ndata:1\n\n${large('2')}`, () => response.destroy())
    }
    const streams = [
      await gateway.open(await gateway.token(), 'h2'),
      await gateway.open(await gateway.token(), 'http/1.1'),
    ]
    for (const stream of streams) await stream.until(({ ended }) => ended !== 'no', 15_000)
    for (const { ended, seen } of streams) expect([ended, seen.at(-1)]).toEqual(['cut', GIVEN_UP])
    // The first connection brought new events.
    expect([await ready(), gateway.upstream.requests.length]).toEqual([notReady(6), 7])
    await gateway.until(async () => (await ready())[0] === 200, 10_000)
  }, 40_000)

  it('but has a new event each time keeps its streams', async () => {
    await gateway.start()
    let next = 1
    gateway.upstream.answer = (request, response) => {
      gateway.upstream.stream(request, response)
      response.write(`id:${next}\ndata:${next}\n\n`, () => response.destroy())
      next += 1
    }
    const stream = await gateway.open(await gateway.token())
    await stream.until(({ events }) => events.length === 7, 20_000)
    expect([stream.seen, stream.ended]).toEqual([['1', '2', '3', '4', '5', '6', '7'], 'no'])
    expect(await ready()).toEqual([200, { status: 'ready' }])
  }, 30_000)
})

describe('an upstream that begins something and never ends it', () => {
  const problem = 'The upstream has begun an event or a comment that has not ended for 0.3 s.'
  const never = (first: string, more: string) => async () => {
    gateway.upstream.send(`id:1\ndata:1\n\n${first}`)
    const sending = setInterval(() => gateway.upstream.send(more), 10)
    return () => clearInterval(sending)
  }

  it.each([
    ['a field', never('data: x', 'x'.repeat(100))],
    ['a comment', never(':', 'c'.repeat(100))],
    ['an event of many lines', never('', 'data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n')],
    ['a field, and is silent in it', never('data: x', '')],
    ['a comment in an event that is too large', never(`data:${'x'.repeat(2_000)}\n`, ': c\n')],
  ])('%s: streams end with a reason, and the gateway is not ready', async (_what, begin) => {
    await gateway.start(limit, { stuckMs: 300 })
    const stream = await gateway.open(await gateway.token())
    const before = process.memoryUsage().heapUsed
    const stop = await begin()
    await stream.end().finally(stop)
    expect(stream.seen).toEqual(['1', GIVEN_UP])
    expect(gateway.upstream.requests).toHaveLength(1)
    const { status, json } = await gateway.request('/readyz')
    expect([status, json.failed]).toEqual([503, { 'upstream of /events': problem }])
    expect(gateway.log).toContain('"msg":"upstream given up"')
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024)
  })

  it('in a private replay: the stream ends with a reason', async () => {
    await gateway.start(limit, { stuckMs: 300 })
    gateway.upstream.answer = (request, response) => {
      gateway.upstream.stream(request, response)
      if (request.headers['last-event-id'] !== undefined) response.write('id:2\ndata:2\n\n:')
    }
    const stream = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '1' })
    const sending = setInterval(() => {
      gateway.upstream.streams[1]?.write('c')
      // Comments that end are progress.
      gateway.upstream.streams[0]?.write(': beat\n')
    }, 10)
    await stream.end().finally(() => clearInterval(sending))
    expect(stream.seen).toEqual(['2', GIVEN_UP])
    await gateway.upstream.until(({ streams }) => streams.length <= 1)
  })

  it('in a private replay, but ends it later than a quiet upstream would: the event is not lost', async () => {
    await gateway.start()
    let replay = (_text: string) => {}
    gateway.upstream.answer = (request, response) => {
      gateway.upstream.stream(request, response)
      if (request.headers['last-event-id'] !== undefined) replay = (text) => response.write(text)
    }
    const stream = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '1' })
    replay('id:2\ndata:large')
    // Longer than the quiet time of these tests, 150 ms.
    await new Promise((resolve) => setTimeout(resolve, 500))
    replay('\n\n')
    await stream.until(({ events }) => events.length === 1)
    expect(stream.seen).toEqual(['large'])
  })

  it('but is only slow keeps its streams, as does one that writes the lines of an event one by one', async () => {
    await gateway.start(limit, { stuckMs: 300 })
    const stream = await gateway.open(await gateway.token())
    for (const piece of ['id:', '1\n', 'data:', '1\n', '\n', ':', '\n']) {
      gateway.upstream.send(piece)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    gateway.upstream.send('id:2\n')
    await new Promise((resolve) => setTimeout(resolve, 600))
    gateway.upstream.send('data:2\n\n')
    await stream.until(({ events }) => events.length === 2)
    expect([stream.seen, gateway.upstream.requests.length]).toEqual([['1', '2'], 1])
  })
})
