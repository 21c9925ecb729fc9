import net from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import { nghttp } from '../testing/nghttp.ts'
import type { Answer } from '../testing/stream-client.ts'

const gateway = useGateway()
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function metric(name: string): Promise<number> {
  const { text } = await gateway.request('/metrics')
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

/** Publishes as fast as a reader reads or, without one, as the sockets of this process accept. */
async function publish(events: number, text: string, reader?: Answer) {
  for (let id = 1; id <= events; id += 1) {
    gateway.upstream.send(`id:${id}\ndata:${id} ${text}\n\n`)
    if (id % 20 === 0) await (reader?.until((answer) => answer.events.length === id, 15_000) ?? pause(2))
  }
}

describe('T38: a client that does not read', () => {
  it.each(['h2', 'http/1.1'] as const)(
    'is dropped over %s with the reason and bounded memory, without slowing others',
    async (protocol) => {
      await gateway.start({ RING_EVENTS: '100' })
      const slow = await gateway.open(await gateway.token(), protocol)
      slow.body.pause()
      const fast = await gateway.open(await gateway.token())
      const text = 'x'.repeat(20_000)
      await publish(700, text, fast)
      await fast.until(({ events }) => events.length === 700, 15_000)
      await gateway.until(() => gateway.log.includes('"reason":"client_too_slow"'))
      // The most that a client can have pending, plus the write that exceeded it.
      expect(await metric('sse_buffer_high_water_bytes')).toBeLessThan(64 * 1024 + 256 * 1024 + 40_000)
      slow.body.resume()
      await slow.end()
      expect(slow.ended).toBe('cut')
      expect(slow.events.map(({ id }) => id)).toEqual(slow.events.map((_, index) => `${index + 1}`))
      expect(fast.ended).toBe('no')
    },
  )

  it('that only pauses continues where it stopped, and loses nothing', async () => {
    await gateway.start()
    const stream = await gateway.open(await gateway.token(), 'http/1.1')
    stream.body.pause()
    await publish(500, 'x'.repeat(5_000))
    await pause(100)
    stream.body.resume()
    await stream.until(({ events }) => events.length === 500, 10_000)
    expect(stream.events.map(({ id }) => id)).toEqual(
      Array.from({ length: 500 }, (_, index) => `${index + 1}`),
    )
  })

  it('is one of 1,000: no crash, bounded memory, and a client that reads gets every event', async () => {
    await gateway.start({ RING_EVENTS: '50', MAX_STREAMS_PER_SUBJECT: '2000' })
    const connections = await Promise.all(Array.from({ length: 10 }, () => gateway.connect()))
    const token = await gateway.token()
    const slow = await Promise.all(
      connections.flatMap((connection) =>
        Array.from({ length: 100 }, async () => {
          const stream = await connection.request('/events', {
            headers: { authorization: `Bearer ${token}` },
          })
          stream.body.pause()
          return stream
        }),
      ),
    )
    const fast = await gateway.open(await gateway.token({ sub: 'fast' }))
    const before = process.memoryUsage().rss
    await publish(200, 'x'.repeat(10_000), fast)
    await fast.until(({ events }) => events.length === 200, 15_000)
    // The clients are in the same process.
    expect((process.memoryUsage().rss - before) / 1024 / 1024).toBeLessThan(250)
    expect(await metric('sse_streams')).toBeLessThanOrEqual(1_001)
    expect(slow).toHaveLength(1_000)
    await gateway.until(async () => (await metric('sse_streams_ended_total')) === 1_000, 10_000)
  }, 40_000)

  it('cannot keep its stream open beyond the expiry', async () => {
    await gateway.start({ RING_BYTES: '100000000', RING_EVENTS: '5000' })
    const stream = await gateway.open(await gateway.token(), 'http/1.1')
    stream.body.pause()
    // More than the kernel buffers.
    await publish(700, 'x'.repeat(20_000))
    gateway.clock.advance(30_000)
    await pause(1_300)
    stream.body.resume()
    await stream.end()
    expect(stream.ended).toBe('cut')
    expect(stream.events.length).toBeLessThan(700)
  })
})

describe('a client that disconnects in the middle', () => {
  it('of an event does not affect other clients', async () => {
    await gateway.start()
    for (const protocol of ['h2', 'http/1.1'] as const) {
      const stream = await gateway.open(await gateway.token(), protocol)
      const other = await gateway.open(await gateway.token(), protocol)
      gateway.upstream.send(`data:${'x'.repeat(500_000)}`)
      stream.close()
      gateway.upstream.send('x\n\ndata:next\n\n')
      await other.until(({ seen }) => seen.includes('next'))
      other.close()
    }
    await gateway.until(async () => (await metric('sse_streams')) === 0)
  })

  it('of its request leaks nothing, even while the upstream is connecting', async () => {
    await gateway.start()
    let answer = () => {}
    gateway.upstream.answer = (request, response) => {
      answer = () => gateway.upstream.stream(request, response)
    }
    const connection = await gateway.connect()
    const asked = connection.request('/events', {
      headers: { authorization: `Bearer ${await gateway.token()}` },
    })
    asked.catch(() => {})
    await gateway.upstream.until(({ requests }) => requests.length === 1)
    connection.close()
    await pause(50)
    answer()
    await gateway.upstream.until(({ streams }) => streams.length === 0, 2_000)
    expect(await metric('sse_streams')).toBe(0)
  })
})

it('T38, AL-54: survives bytes that are neither TLS nor HTTP, and an incomplete handshake', async () => {
  await gateway.start()
  const port = Number(new URL(gateway.url).port)
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01', '\0'.repeat(1_000)]) {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(bytes)
    await pause(20)
    socket.destroy()
  }
  expect((await gateway.request('/healthz')).json).toEqual({ status: 'ok' })
})

describe('a gateway that stops', () => {
  it.each(['h2', 'http/1.1'] as const)(
    'closes every stream over %s with the reason, in time',
    async (protocol) => {
      await gateway.start()
      const streams = [
        await gateway.open(await gateway.token(), protocol),
        await gateway.open(await gateway.token(), protocol),
      ]
      const started = Date.now()
      await gateway.stopServices()
      await Promise.all(streams.map((stream) => stream.end()))
      for (const stream of streams)
        expect([stream.ended, stream.seen]).toEqual(['cleanly', ['end:{"reason":"shutting_down"}']])
      expect(Date.now() - started).toBeLessThan(1_500)
      await gateway.upstream.until((server) => server.streams.length === 0, 1_000)
    },
  )
})

it('T40: writes no token to its log', async () => {
  await gateway.start()
  const tokens = [await gateway.token(), await gateway.token({}, { lifetimeSeconds: -1 })]
  for (const token of tokens) {
    for (const protocol of ['h2', 'http/1.1'] as const) {
      const answers = [
        await gateway.request(`/events?access_token=${token}`, {}, protocol),
        await gateway.request('/events', { headers: { authorization: `Bearer ${token}` } }, protocol),
        await gateway.request('/events', { headers: { cookie: `access_token=${token}` } }, protocol),
        await gateway.request(`/events/${token}`, {}, protocol),
        await gateway.request(`/nope?x=${token}`, { method: 'POST' }, protocol),
      ]
      for (const answer of answers) answer.close()
    }
  }
  await nghttp(gateway, `/events/?token=${tokens[0]}`, [])
  await gateway.until(() => gateway.log.split('"stream ended"').length > 6)
  await gateway.stopServices()
  expect(gateway.log).toContain('"path":"/events"')
  expect(gateway.log).not.toContain('eyJ')
  for (const part of tokens.flatMap((token) => token.split('.'))) expect(gateway.log).not.toContain(part)
  // Requests are logged with the token's ID.
  expect(gateway.log).toMatch(/"jti":"[0-9a-f-]{36}"/)
})
