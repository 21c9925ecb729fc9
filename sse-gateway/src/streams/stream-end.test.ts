import { spawn } from 'node:child_process'
import { describeWith } from '@hallpass/service-kit/testing'
import { describe, expect, it } from '@jest/globals'
import { EventSource } from 'eventsource'
import { Agent, fetch } from 'undici'
import { useGateway } from '../testing/gateway.ts'
import { nghttp } from '../testing/nghttp.ts'

const gateway = useGateway()
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until a stream is open, and then lets its token expire. */
async function expireOnceOpen() {
  await gateway.until(
    () => gateway.log.includes('"upstream connected"') && gateway.upstream.streams.length > 0,
  )
  gateway.upstream.send('data:hello\n\n')
  await pause(50)
  gateway.clock.advance(30_000)
}

describeWith('nghttp', 'apt-get install nghttp2-client')('T32: the last frames of an expired stream', () => {
  it('are the reason and END_STREAM', async () => {
    await gateway.start()
    const frames = nghttp(gateway, '/events', [`authorization: Bearer ${await gateway.token()}`])
    await expireOnceOpen()
    const text = await frames
    expect(text).toMatch(/recv DATA frame <length=\d+, flags=0x01, stream_id=13>\s+; END_STREAM/)
    expect(text).toContain('event:end\ndata:{"reason":"token_expired"}')
    expect(text).not.toContain('recv RST_STREAM')
  })

  it('are only RST_STREAM with NO_ERROR if END_OF_STREAM=reset', async () => {
    await gateway.start({ END_OF_STREAM: 'reset' })
    const frames = nghttp(gateway, '/events', [`authorization: Bearer ${await gateway.token()}`])
    await expireOnceOpen()
    const text = await frames
    expect(text).toMatch(
      /recv RST_STREAM frame <length=4, flags=0x00, stream_id=13>\s+\(error_code=NO_ERROR\(0x00\)\)/,
    )
    expect(text).not.toMatch(/DATA frame <length=\d+, flags=0x01/)
    expect(text).not.toContain('event:end')
  })

  it.each([
    ['ended by the upstream', 'END_STREAM', () => gateway.upstream.streams[0]?.end()],
    ['broken by the upstream', 'INTERNAL_ERROR', () => gateway.upstream.streams[0]?.destroy()],
  ])('T33: of a stream %s are: %s', async (_name, sign, act) => {
    await gateway.start({ UPSTREAM_GRACE_SECONDS: '0' })
    const frames = nghttp(gateway, '/events', [`authorization: Bearer ${await gateway.token()}`])
    await gateway.until(() => gateway.upstream.streams.length > 0)
    await pause(50)
    act()
    const text = await frames
    if (sign === 'END_STREAM') {
      expect(text).toMatch(/recv DATA frame <length=\d+, flags=0x01, stream_id=13>/)
      expect(text).toContain('event:end\ndata:{"reason":"upstream_ended"}')
      expect(text).not.toContain('recv RST_STREAM')
    } else {
      expect(text).toMatch(/recv RST_STREAM frame .*stream_id=13>\s+\(error_code=INTERNAL_ERROR\(0x02\)\)/)
      expect(text).not.toMatch(/DATA frame <length=\d+, flags=0x01/)
    }
  })
})

describe('how a stream closes over HTTP/1.1', () => {
  it('T32: with the reason and the last chunk', async () => {
    await gateway.start()
    const stream = await gateway.open(await gateway.token(), 'http/1.1')
    gateway.clock.advance(30_000)
    await stream.end()
    expect([stream.ended, stream.seen]).toEqual(['cleanly', ['end:{"reason":"token_expired"}']])
  })

  it('T32: without the last chunk if END_OF_STREAM=reset', async () => {
    await gateway.start({ END_OF_STREAM: 'reset' })
    const stream = await gateway.open(await gateway.token(), 'http/1.1')
    gateway.clock.advance(30_000)
    await stream.end()
    expect([stream.ended, stream.seen]).toEqual(['cut', []])
  })

  it('T33: with the last chunk if the upstream ends, and without it if the upstream fails', async () => {
    await gateway.start({ UPSTREAM_GRACE_SECONDS: '0' })
    const ended = await gateway.open(await gateway.token(), 'http/1.1')
    gateway.upstream.streams[0]?.end()
    await ended.end()
    expect([ended.ended, ended.seen]).toEqual(['cleanly', ['end:{"reason":"upstream_ended"}']])
    const broken = await gateway.open(await gateway.token(), 'http/1.1')
    gateway.upstream.streams[0]?.destroy()
    await broken.end()
    expect(broken.ended).toBe('cut')
  })

  it('so that the connection can be reused', async () => {
    await gateway.start()
    const agent = new Agent({ connect: { ca: gateway.ca }, pipelining: 1, connections: 1 })
    const headers = { authorization: `Bearer ${await gateway.token()}` }
    const stream = await fetch(`${gateway.url}/events`, { headers, dispatcher: agent })
    gateway.clock.advance(30_000)
    expect(await stream.text()).toContain('token_expired')
    const next = await fetch(`${gateway.url}/healthz`, { dispatcher: agent })
    expect(await next.json()).toEqual({ status: 'ok' })
    await agent.close()
  })
})

it('closes a stream within 50 ms of its expiry', async () => {
  await gateway.start()
  const stream = await gateway.open(await gateway.token())
  gateway.clock.advance(29_999)
  await pause(100)
  const due = Date.now()
  gateway.clock.advance(1)
  await stream.end()
  expect(Date.now() - due).toBeLessThan(50)
})

it('sends each client a different retry time', async () => {
  await gateway.start()
  const streams = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => gateway.open(await gateway.token({ sub: `s${index}` }))),
  )
  gateway.clock.advance(30_000)
  await Promise.all(streams.map((stream) => stream.end()))
  const waits = streams.map(({ events }) => events.at(-1)?.retry as number)
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000)
  expect(Math.max(...waits)).toBeLessThanOrEqual(5_000)
  expect(new Set(waits).size).toBeGreaterThan(10)
})

it('T35: answers 401 to an EventSource that reconnects with its expired token, and it stops', async () => {
  await gateway.start({}, { retryMs: { min: 50, max: 100 } })
  const agent = new Agent({ connect: { ca: gateway.ca }, allowH2: true })
  const statuses: number[] = []
  const source = new EventSource(`${gateway.url}/events?access_token=${await gateway.token()}`, {
    fetch: async (url, init) => {
      const response = await fetch(url, { ...(init as object), dispatcher: agent })
      statuses.push(response.status)
      return response as never
    },
  })
  const reasons: string[] = []
  source.addEventListener('end', ({ data }) => reasons.push(data))
  try {
    await gateway.until(() => source.readyState === EventSource.OPEN)
    gateway.clock.advance(30_000)
    await gateway.until(() => source.readyState === EventSource.CLOSED, 8_000)
    expect(reasons).toEqual(['{"reason":"token_expired"}'])
    expect(statuses).toEqual([200, 401])
  } finally {
    source.close()
    await agent.destroy()
  }
})

it('lets curl exit successfully, over both protocols', async () => {
  await gateway.start()
  const runs = await Promise.all(
    ['--http2', '--http1.1'].map(async (protocol) => {
      const url = `${gateway.url}/events?access_token=${await gateway.token()}`
      const curl = spawn('curl', ['-sN', protocol, '--cacert', gateway.caFile, url])
      let text = ''
      curl.stdout.on('data', (chunk: Buffer) => {
        text += chunk
      })
      return {
        started: () => text !== '',
        over: new Promise<[number | null, string]>((resolve) =>
          curl.once('close', (code) => resolve([code, text])),
        ),
      }
    }),
  )
  await gateway.until(() => {
    gateway.upstream.send('data:hello\n\n')
    return runs.every(({ started }) => started())
  })
  gateway.clock.advance(30_000)
  for (const [code, text] of await Promise.all(runs.map(({ over }) => over))) {
    expect(code).toBe(0)
    expect(text.startsWith('data:hello\n\n')).toBe(true)
    expect(text).toMatch(/retry:\d+\nevent:end\ndata:\{"reason":"token_expired"\}\n\n$/)
  }
})
