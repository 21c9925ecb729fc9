import type { ServerResponse } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Answer } from '../testing/stream-client.ts'

const gateway = useGateway()
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const bearer = async (claims = {}) => ({ authorization: `Bearer ${await gateway.token(claims)}` })

/** Makes the upstream store its events and replay them, as the SSE server does. */
function replaying() {
  const log: { id: string; wire: string }[] = []
  gateway.upstream.answer = (request, response) => {
    gateway.upstream.stream(request, response)
    const last = request.headers['last-event-id']
    const from = last === undefined ? log.length : log.findIndex(({ id }) => id === last) + 1
    for (const { wire } of log.slice(from)) response.write(wire)
  }
  return {
    publish(id: string, data = id) {
      const wire = `id:${id}\ndata:${data}\n\n`
      log.push({ id, wire })
      gateway.upstream.send(wire)
    },
    remember(...ids: string[]) {
      for (const id of ids) log.push({ id, wire: `id:${id}\ndata:${id}\n\n` })
    },
  }
}

const data = (stream: Answer) =>
  stream.events.filter(({ event }) => event === undefined).map((event) => event.data)

describe('T34: an upstream that fails', () => {
  it('is 502 with Retry-After if it is unreachable', async () => {
    await gateway.start({ UPSTREAM_URL: 'http://127.0.0.1:1/events' })
    const answer = await gateway.request('/events', { headers: await bearer() })
    expect([answer.status, answer.json]).toEqual([
      502,
      { error: { code: 'upstream_unreachable', message: 'The upstream is not reachable.' } },
    ])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  })

  it.each([
    [500, {}, 502, 'upstream_refused', 'The upstream answered 500, not an event stream.'],
    [204, {}, 502, 'upstream_refused', 'The upstream answered 204, not an event stream.'],
    [
      301,
      { location: 'http://127.0.0.1:1/' },
      502,
      'upstream_refused',
      'The upstream answered 301, not an event stream.',
    ],
    [
      200,
      { 'content-type': 'text/html' },
      502,
      'upstream_not_a_stream',
      'The upstream response is not an event stream.',
    ],
    [503, { 'retry-after': '7' }, 503, 'upstream_busy', 'The upstream answered 503.'],
    [429, { 'retry-after': '9999' }, 503, 'upstream_busy', 'The upstream answered 429.'],
  ])('that answers %d %j is %d %s', async (status, headers, expected, code, message) => {
    await gateway.start()
    gateway.upstream.answer = (_request, response) => response.writeHead(status, headers).end()
    const answer = await gateway.request('/events', { headers: await bearer() })
    expect([answer.status, answer.json]).toEqual([expected, { error: { code, message } }])
    if (status === 503) expect(answer.headers['retry-after']).toBe('7')
    else if (status === 429) expect(answer.headers['retry-after']).toBe('60')
    else expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('is 504 if it times out', async () => {
    await gateway.start({ UPSTREAM_TIMEOUT_MS: '80' })
    gateway.upstream.answer = () => {}
    const answer = await gateway.request('/events', { headers: await bearer() })
    expect([answer.status, answer.json]).toEqual([
      504,
      { error: { code: 'upstream_timeout', message: 'The upstream did not answer within 80 ms.' } },
    ])
  })
})

describe('T36: what an upstream can send', () => {
  it('includes comments, retry times, unknown fields, any line break and unusual IDs; each event arrives whole', async () => {
    await gateway.start()
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.send(
      '\ufeffdata:after a byte order mark\n\n: a comment\n\nretry: 10\n\nfoo: bar\njunk\n',
    )
    gateway.upstream.send('data:  two spaces\r\ndata:x\r')
    await pause(20)
    gateway.upstream.send('\n\r\n')
    gateway.upstream.send('id: a\0b\ndata:nul id\n\n')
    gateway.upstream.send(`id:${'7'.repeat(300)}\nevent:long\ndata:long id\n\n`)
    gateway.upstream.send('data:cr\r\rdata:unfinished')
    await stream.until(({ events }) => events.length === 5)
    await pause(50)
    expect(stream.events.map(({ event, data, id }) => ({ event, data, id }))).toEqual([
      { data: 'after a byte order mark' },
      { data: ' two spaces\nx' },
      { data: 'nul id' },
      { event: 'long', data: 'long id', id: '7'.repeat(300) },
      { data: 'cr' },
    ])
    expect(stream.text).not.toContain('unfinished')
    // An ID in the ring is accepted, although other IDs of that length are rejected (T16).
    const back = await gateway.request('/events', {
      headers: { ...(await bearer()), 'last-event-id': '7'.repeat(300) },
    })
    await back.until(({ events }) => events.length === 1)
    expect(back.seen).toEqual(['cr'])
  })

  it('can be split at any point: an event of 1 MiB in small pieces arrives whole', async () => {
    await gateway.start()
    const stream = await gateway.open(await gateway.token())
    const text = 'abcdefg'.repeat(150_000).slice(0, 1024 * 1024)
    const wire = Buffer.from(`id:1\ndata:${text}\n\n`)
    gateway.upstream.send(wire.subarray(0, 1))
    for (let start = 1; start < wire.length; start += 4_099)
      gateway.upstream.send(wire.subarray(start, start + 4_099))
    await stream.until(({ events }) => events.length === 1, 10_000)
    expect(stream.events[0]?.data === text).toBe(true)
  })

  it('can be split after every byte', async () => {
    await gateway.start()
    const stream = await gateway.open(await gateway.token())
    for (const byte of Buffer.from('id:é\r\nevent:x\rdata:€\ndata:😀\r\n\r\n')) {
      gateway.upstream.send(Uint8Array.of(byte))
      await new Promise(setImmediate)
    }
    await stream.until(({ events }) => events.length === 1)
    expect(stream.events[0]).toMatchObject({ id: 'é', event: 'x', data: '€\n😀' })
  })

  it('is never mixed with a challenge that is due in the middle of an event', async () => {
    await gateway.start()
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.send('data:first half\n')
    await pause(20)
    gateway.clock.advance(20_000)
    await stream.event('challenge')
    gateway.upstream.send('data:second half\n\n')
    await stream.until(({ events }) => events.length === 2)
    expect(stream.text).toBe(
      'event:challenge\ndata:{"method":"POST","headers":{"content-type":"application/x-challenge-response"}}\n\n' +
        'data:first half\ndata:second half\n\n',
    )
  })
})

describe('the shared upstream stream', () => {
  it('T37: serves fifty client streams through one upstream connection', async () => {
    await gateway.start()
    const streams = await Promise.all(
      Array.from({ length: 50 }, async (_, index) =>
        gateway.open(await gateway.token(), index % 2 === 0 ? 'h2' : 'http/1.1'),
      ),
    )
    gateway.upstream.send('data:to all\n\n')
    await Promise.all(streams.map((stream) => stream.until(({ seen }) => seen.includes('to all'))))
    expect(gateway.upstream.requests).toHaveLength(1)
  })

  it('sends no token, query or header of a client to the upstream', async () => {
    await gateway.start()
    const token = await gateway.token()
    await gateway.request(`/events?access_token=${token}&x=1`, {
      headers: { 'x-secret': '1', cookie: 'a=b', origin: gateway.url },
    })
    const [request] = gateway.upstream.requests
    expect(request?.url).toBe('/events')
    expect(Object.keys(request?.headers ?? {}).sort()).toEqual([
      'accept',
      'cache-control',
      'connection',
      'host',
      'traceparent',
    ])
  })

  it('T39: is closed within a second after the last client disconnects', async () => {
    await gateway.start()
    const [one, two] = [
      await gateway.open(await gateway.token(), 'h2'),
      await gateway.open(await gateway.token(), 'http/1.1'),
    ]
    one.close()
    await pause(700)
    expect(gateway.upstream.streams).toHaveLength(1)
    two.close()
    await gateway.upstream.until(({ streams }) => streams.length === 0, 1_000)
  })

  it('sends heartbeats if there are no events', async () => {
    await gateway.start({ HEARTBEAT_SECONDS: '1' })
    const stream = await gateway.open(await gateway.token())
    await stream.until(({ text }) => text === ':\n\n')
  })
})

describe('a client that reconnects with an ID', () => {
  it('continues from the gateway’s ring if it contains the ID', async () => {
    await gateway.start()
    const upstream = replaying()
    const first = await gateway.open(await gateway.token())
    for (const id of ['1', '2', '3']) upstream.publish(id)
    await first.until((stream) => data(stream).length === 3)
    const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '1' })
    upstream.publish('4')
    await back.until((stream) => data(stream).length === 3)
    expect(data(back)).toEqual(['2', '3', '4'])
    expect(gateway.upstream.requests).toHaveLength(1)
  })

  it('gets older events from the upstream, and then joins the others: nothing is lost or sent twice', async () => {
    await gateway.start()
    const upstream = replaying()
    upstream.remember('1', '2', '3', '4')
    const other = await gateway.open(await gateway.token())
    upstream.publish('5')
    await other.until((stream) => data(stream).length === 1)
    const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '2' })
    await back.until((stream) => data(stream).length === 3)
    upstream.publish('6')
    await back.until((stream) => data(stream).length === 4)
    expect([data(back), data(other)]).toEqual([
      ['3', '4', '5', '6'],
      ['5', '6'],
    ])
    // The private replay has reached the shared stream and is closed; its events serve the next client.
    await gateway.upstream.until(({ streams }) => streams.length === 1)
    const next = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '3' })
    await next.until((stream) => data(stream).length === 3)
    expect(data(next)).toEqual(['4', '5', '6'])
    expect(gateway.upstream.requests).toHaveLength(2)
  })

  it('joins the others if nothing has been published since', async () => {
    await gateway.start()
    const upstream = replaying()
    upstream.remember('1', '2')
    const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '2' })
    await gateway.upstream.until(({ streams }) => streams.length === 2)
    await gateway.upstream.until(({ streams }) => streams.length === 1)
    upstream.publish('3')
    await back.until((stream) => data(stream).length === 1)
    const next = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '2' })
    await next.until((stream) => data(stream).length === 1)
    expect([data(back), data(next)]).toEqual([['3'], ['3']])
    expect(gateway.upstream.requests).toHaveLength(2)
  })

  it('joins them even if an event arrives during its replay', async () => {
    await gateway.start()
    const upstream = replaying()
    upstream.remember('1', '2', '3')
    const streams = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const stream = await gateway.open(await gateway.token(), 'h2', {
          'last-event-id': `${(index % 3) + 1}`,
        })
        upstream.publish(`new ${index}`)
        return stream
      }),
    )
    await pause(300)
    upstream.publish('last')
    await Promise.all(streams.map((stream) => stream.until((one) => data(one).includes('last'))))
    const all = ['1', '2', '3', ...data(streams[0] as Answer).filter((id) => !/^\d$/.test(id))]
    for (const [index, stream] of streams.entries()) expect(data(stream)).toEqual(all.slice((index % 3) + 1))
  })

  it('gets all of its replay even if the gateway was busy when the end of it arrived', async () => {
    await gateway.start()
    let replay: ServerResponse | undefined
    gateway.upstream.answer = (request, response) => {
      gateway.upstream.stream(request, response)
      if (request.headers['last-event-id'] === undefined) return
      replay = response
      response.write('id:2\ndata:2\n\n')
    }
    const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '1' })
    await back.until((stream) => data(stream).length === 1)
    replay?.write('id:3\ndata:3\n\n')
    // Longer than the quiet that ends a replay.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400)
    await pause(50)
    gateway.upstream.send('id:4\ndata:4\n\n')
    await back.until((stream) => data(stream).includes('4'))
    expect(data(back)).toEqual(['2', '3', '4'])
  })

  it('reads a long replay at its own pace', async () => {
    await gateway.start()
    const upstream = replaying()
    const text = 'x'.repeat(10_000)
    for (let id = 1; id <= 500; id += 1) upstream.publish(`${id}`, `${id} ${text}`)
    const back = await gateway.open(await gateway.token(), 'http/1.1', { 'last-event-id': '1' })
    back.body.pause()
    // Longer than the quiet that ends a replay.
    await pause(600)
    upstream.publish('501')
    back.body.resume()
    // Cheap: it is evaluated for each piece of 5 MB.
    await back.until(({ text }) => text.endsWith('data:501\n\n'), 15_000)
    expect(data(back).map((line) => Number.parseInt(line, 10))).toEqual(
      Array.from({ length: 500 }, (_, index) => index + 2),
    )
  })

  it('is disconnected, so that it reconnects, if its private replay fails before it is complete', async () => {
    await gateway.start()
    const upstream = replaying()
    upstream.remember('1')
    const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '1' })
    await gateway.upstream.until(({ streams }) => streams.length === 2)
    gateway.upstream.streams[1]?.destroy()
    await back.end()
    expect(back.ended).toBe('cut')
  })
})

describe('an upstream that disconnects and recovers', () => {
  it('is asked for missed events; clients stay connected, and each gets every event once', async () => {
    await gateway.start()
    const upstream = replaying()
    const streams = [
      await gateway.open(await gateway.token()),
      await gateway.open(await gateway.token(), 'http/1.1'),
    ]
    upstream.publish('1')
    await Promise.all(streams.map((stream) => stream.until((one) => data(one).length === 1)))
    await gateway.upstream.kill()
    upstream.remember('2', '3')
    await pause(150)
    await gateway.upstream.start()
    await gateway.upstream.until((server) => server.streams.length === 1)
    upstream.publish('4')
    await Promise.all(streams.map((stream) => stream.until((one) => data(one).length === 4)))
    for (const stream of streams) expect([data(stream), stream.ended]).toEqual([['1', '2', '3', '4'], 'no'])
  })

  it('delays a client that connects meanwhile', async () => {
    await gateway.start()
    const upstream = replaying()
    await gateway.open(await gateway.token())
    await gateway.upstream.kill()
    const late = gateway.open(await gateway.token())
    await pause(100)
    await gateway.upstream.start()
    const stream = await late
    upstream.publish('1')
    await stream.until((one) => data(one).length === 1)
  })

  it('is given up after the grace period: streams close with the reason, new ones are rejected', async () => {
    await gateway.start({ UPSTREAM_GRACE_SECONDS: '1' })
    const stream = await gateway.open(await gateway.token(), 'http/1.1')
    await gateway.upstream.kill()
    await stream.end()
    expect(stream.ended).toBe('cut')
    expect((await gateway.request('/events', { headers: await bearer() })).status).toBe(502)
    const { status, json } = await gateway.request('/readyz')
    expect([status, json.failed]).toEqual([
      503,
      { 'upstream of /events': 'The upstream has been unavailable for more than 1 s.' },
    ])
    await gateway.upstream.start()
    expect((await gateway.open(await gateway.token())).status).toBe(200)
  })
})

describe.each(['h2', 'http/1.1'] as const)('the response header last-event-id over %s', (protocol) => {
  const resume = async (id: string) => {
    const headers = { ...(await bearer()), 'last-event-id': Buffer.from(id).toString('latin1') }
    const stream = await gateway.request('/events', { headers }, protocol)
    return stream.headers['last-event-id']
  }

  it('is the requested ID if the next events are in the ring buffer', async () => {
    await gateway.start()
    const stream = await gateway.request('/events', { headers: await bearer() })
    expect(stream.headers['last-event-id']).toBeUndefined()
    expect(stream.headers['access-control-expose-headers']).toContain('last-event-id')
    gateway.upstream.send('id:1\ndata:1\n\nid:é\ndata:2\n\n')
    await stream.until(({ events }) => events.length === 2)
    expect([await resume('1'), await resume('é')]).toEqual(['1', Buffer.from('é').toString('latin1')])
  })

  it('is the upstream’s if it replays, and absent if the upstream does not tell', async () => {
    await gateway.start()
    gateway.upstream.answer = (request, response) => {
      if (request.headers['last-event-id'] === 'lost') response.setHeader('last-event-id', 'earliest')
      gateway.upstream.stream(request, response)
    }
    expect([await resume('lost'), await resume('other')]).toEqual(['earliest', undefined])
  })
})
