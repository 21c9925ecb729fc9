import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Answer, ClientRequest, Connection } from '../testing/stream-client.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Returns a challenge response. */
const response = (token: string | undefined, headers: Record<string, string> = {}): ClientRequest => ({
  method: 'POST',
  headers: {
    'content-type': 'application/x-challenge-response',
    ...(token === undefined ? {} : bearer(token)),
    ...headers,
  },
})

async function open(
  connection: Connection,
  claims: Record<string, unknown> = {},
  lifetimeSeconds = 30,
): Promise<Answer> {
  return connection.request('/events', {
    headers: bearer(await gateway.token(claims, { lifetimeSeconds })),
  })
}

const handleOf = (stream: Answer) => ({ 'stream-handle': stream.headers['stream-handle'] as string })
const challenges = (stream: Answer) => stream.events.filter(({ event }) => event === 'challenge').length

const iso = (ms: number) => new Date(ms).toISOString()

/** Returns the number of challenge responses, by result. */
async function results(): Promise<Record<string, number>> {
  const { text } = await gateway.request('/metrics')
  const lines = text.matchAll(/^sse_reauthorizations_total\{.*result="(\w+)".*\} (\d+)$/gm)
  return Object.fromEntries([...lines].map(([, result, count]) => [result, Number(count)]))
}

/** Two ticks of the timer wheel. */
const TWO_TICKS_MS = 40

/** Advances the clock and waits until the due timers have fired. */
async function pass(ms: number) {
  gateway.clock.advance(ms)
  await pause(TWO_TICKS_MS)
}

describe('POST /events with a challenge response', () => {
  it('T22: is 204, and the stream on the same connection continues and is challenged ten seconds before the new expiry', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    gateway.clock.advance(20_000)
    await stream.event('challenge')
    const answer = await connection.request('/events', response(await gateway.token()))
    expect([answer.status, answer.text]).toEqual([204, ''])
    await pass(10_000)
    gateway.upstream.send('data:past the old expiry\n\n')
    await stream.until(({ seen }) => seen.includes('past the old expiry'))
    expect(challenges(stream)).toBe(1)
    await pass(9_999)
    expect(challenges(stream)).toBe(1)
    gateway.clock.advance(1)
    await stream.until(() => challenges(stream) === 2)
    gateway.clock.advance(10_000)
    await stream.end()
    expect(stream.seen.at(-1)).toBe('end:{"reason":"token_expired"}')
  })

  it('T22: keeps a stream with 30-second tokens open for ten minutes, with each event once', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    for (let round = 1; round <= 30; round += 1) {
      gateway.clock.advance(20_000)
      await stream.until(() => challenges(stream) === round)
      gateway.upstream.send(`id:${round}\ndata:${round}\n\n`)
      expect((await connection.request('/events', response(await gateway.token()))).status).toBe(204)
    }
    const numbers = () => stream.seen.filter((seen) => /^\d+$/.test(seen))
    await stream.until(() => numbers().length === 30)
    expect(numbers()).toEqual(Array.from({ length: 30 }, (_, index) => `${index + 1}`))
    expect(stream.ended).toBe('no')
  })

  it('T22: accepts the documented request, which still has the old token in its URL: the header takes precedence', async () => {
    const connection = await gateway.connect()
    const old = await gateway.token()
    const stream = await connection.request(`/events?access_token=${old}`)
    gateway.clock.advance(20_000)
    const answer = await connection.request(`/events?access_token=${old}`, response(await gateway.token()))
    expect(answer.status).toBe(204)
    await pass(15_000)
    expect(stream.ended).toBe('no')
  })

  it('T23: is 401 without a valid token, and the stream closes at the original expiry', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    gateway.clock.advance(20_000)
    const expired = await gateway.token({}, { lifetimeSeconds: -5 })
    const answers = [
      await connection.request('/events', response('garbage')),
      await connection.request('/events', response(expired)),
      await connection.request('/events', response(undefined)),
    ]
    expect(answers.map(({ status, json }) => [status, json])).toEqual([
      [401, { error: { code: 'invalid_token', message: 'jwt malformed' } }],
      [401, { error: { code: 'invalid_token', message: 'jwt expired' } }],
      [401, { error: { code: 'no_token', message: 'no token provided' } }],
    ])
    gateway.clock.advance(10_000)
    await stream.end()
    expect(stream.seen.at(-1)).toBe('end:{"reason":"token_expired"}')
  })

  it('T24, AL-51: is 403 with another subject’s token, and the stream is unchanged', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    gateway.clock.advance(20_000)
    const mallory = await gateway.token({ sub: 'mallory' })
    for (const headers of [{}, handleOf(stream)]) {
      const answer = await connection.request('/events', response(mallory, headers))
      expect([answer.status, answer.json]).toEqual([
        403,
        {
          error: {
            code: 'no_such_stream',
            message: 'No open stream matches this token and stream-handle.',
          },
        },
      ])
    }
    gateway.clock.advance(10_000)
    await stream.end()
  })

  it('T24: does not reveal whether a handle exists', async () => {
    const stream = await gateway.open(await gateway.token())
    const mallory = await gateway.token({ sub: 'mallory' })
    const existing = await gateway.request('/events', response(mallory, handleOf(stream)))
    const unknown = await gateway.request('/events', response(mallory, { 'stream-handle': 'x' }))
    expect([existing.status, existing.text]).toEqual([unknown.status, unknown.text])
  })

  it('T25: does not extend with a narrower scope, but does with a broader one', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    gateway.clock.advance(20_000)
    const narrower = await connection.request('/events', response(await gateway.token({ scope: 'profile' })))
    expect([narrower.status, narrower.json]).toMatchObject([403, { error: { code: 'insufficient_scope' } }])
    const broader = await gateway.token({ scope: 'proxy:stream profile' })
    expect((await connection.request('/events', response(broader))).status).toBe(204)
    await pass(15_000)
    expect(stream.ended).toBe('no')
  })

  it('T26: is 409 with a token that extends nothing, with both times, and the stream is unchanged', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    const closesAt = Math.floor(gateway.clock.now() / 1000) * 1000 + 30_000
    const asked = async (lifetimeSeconds: number) => {
      const token = await gateway.token({}, { lifetimeSeconds })
      return connection.request('/events', response(token, { origin: 'https://page.example' }))
    }
    for (const seconds of [12, 30]) {
      const answer = await asked(seconds)
      const expiresAt = closesAt - 30_000 + seconds * 1000
      expect([answer.status, answer.json, answer.headers['access-control-allow-origin']]).toEqual([
        409,
        {
          error: {
            code: 'not_extended',
            message: `The stream closes at ${iso(closesAt)}. The token expires at ${iso(expiresAt)}. Send a token that expires later.`,
          },
        },
        '*',
      ])
    }
    expect(await results()).toEqual({ not_extended: 2 })
    await pass(closesAt - 10_001 - gateway.clock.now())
    expect([stream.ended, challenges(stream)]).toEqual(['no', 0])
    gateway.clock.advance(1)
    await stream.until(() => challenges(stream) === 1)
  })

  it('is 409 with the token that opened the stream, and 204 each time with the token that extended it', async () => {
    const connection = await gateway.connect()
    const first = await gateway.token()
    const stream = await connection.request('/events', { headers: bearer(first) })
    gateway.clock.advance(20_000)
    expect((await connection.request('/events', response(first))).status).toBe(409)
    const second = await gateway.token()
    for (const _attempt of ['lost', 'repeated'])
      expect((await connection.request('/events', response(second))).status).toBe(204)
    // Another token with the same expiry extends nothing.
    expect((await connection.request('/events', response(await gateway.token()))).status).toBe(409)
    expect(await results()).toEqual({ accepted: 2, not_extended: 2 })
    await pass(15_000)
    expect(stream.ended).toBe('no')
  })

  it('is 204 if one of several streams on a connection is extended, and 409 for the first that closes if none is', async () => {
    const connection = await gateway.connect()
    const [long, short] = [await open(connection, {}, 60), await open(connection, {}, 30)]
    const now = Math.floor(gateway.clock.now() / 1000) * 1000
    const answer = await connection.request(
      '/events',
      response(await gateway.token({}, { lifetimeSeconds: 20 })),
    )
    expect([answer.status, answer.text]).toEqual([409, expect.stringContaining(iso(now + 30_000))])
    const middle = response(await gateway.token({}, { lifetimeSeconds: 45 }))
    expect((await connection.request('/events', middle)).status).toBe(204)
    await pass(now + 40_000 - gateway.clock.now())
    expect([long.ended, short.ended]).toEqual(['no', 'no'])
    gateway.clock.advance(5_000)
    await short.end()
    expect(long.ended).toBe('no')
  })

  it('T27: is 403 with a token without a scope, and the stream is not extended', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    gateway.clock.advance(20_000)
    const scopeless = await gateway.token({ scope: undefined })
    expect((await connection.request('/events', response(scopeless))).status).toBe(403)
    gateway.clock.advance(10_000)
    await stream.end()
  })

  it.each(['h2', 'http/1.1'] as const)(
    'T28: extends from another connection over %s with the stream’s handle, and not without it',
    async (protocol) => {
      const stream = await gateway.open(await gateway.token(), protocol)
      gateway.clock.advance(20_000)
      const fresh = await gateway.token()
      expect((await gateway.request('/events', response(fresh), protocol)).status).toBe(403)
      expect((await gateway.request('/events', response(fresh, handleOf(stream)), protocol)).status).toBe(204)
      await pass(15_000)
      expect(stream.ended).toBe('no')
      const byQuery = `/events?stream-handle=${stream.headers['stream-handle']}`
      expect((await gateway.request(byQuery, response(await gateway.token()), protocol)).status).toBe(204)
    },
  )

  it('T29: challenges every stream of a subject on a connection, and one response extends them all', async () => {
    const connection = await gateway.connect()
    const streams = [await open(connection), await open(connection), await open(connection)]
    gateway.clock.advance(20_000)
    for (const stream of streams) await stream.event('challenge')
    expect((await connection.request('/events', response(await gateway.token()))).status).toBe(204)
    await pass(15_000)
    expect(streams.map(({ ended }) => ended)).toEqual(['no', 'no', 'no'])
  })

  it('T29: extends no stream of another subject on the same connection', async () => {
    const connection = await gateway.connect()
    const [alices, bobs] = [await open(connection, { sub: 'alice' }), await open(connection, { sub: 'bob' })]
    await pass(20_000)
    expect(
      (await connection.request('/events', response(await gateway.token({ sub: 'alice' })))).status,
    ).toBe(204)
    gateway.clock.advance(10_000)
    await bobs.end()
    expect(alices.ended).toBe('no')
  })

  it.each(['h2', 'http/1.1'] as const)(
    'T30: sends the challenge first over %s if the token expires within the window',
    async (protocol) => {
      const stream = await gateway.open(await gateway.token({}, { lifetimeSeconds: 5 }), protocol)
      const started = Date.now()
      await stream.event('challenge')
      expect(Date.now() - started).toBeLessThan(500)
      gateway.upstream.send('data:x\n\n')
      await stream.until(({ events }) => events.length === 2)
      expect(stream.seen[1]).toBe('x')
    },
  )

  it('T30: does not challenge endlessly if every token expires within the window', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection, {}, 6)
    await stream.event('challenge')
    gateway.clock.advance(1_000)
    const answer = response(await gateway.token({}, { lifetimeSeconds: 6 }))
    expect((await connection.request('/events', answer)).status).toBe(204)
    await pause(TWO_TICKS_MS)
    expect(challenges(stream)).toBe(1)
    gateway.clock.advance(3_000)
    await stream.until(() => challenges(stream) === 2)
  })

  it('T31: is 405 with another content type', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    const fresh = await gateway.token({}, { lifetimeSeconds: 60 })
    const answer = await connection.request('/events', response(fresh, { 'content-type': 'text/plain' }))
    expect([answer.status, answer.headers.allow, answer.json]).toMatchObject([
      405,
      'GET, OPTIONS',
      {
        error: {
          code: 'method_not_allowed',
          message: 'This path does not support this method. See the Allow header.',
        },
      },
    ])
    gateway.clock.advance(30_000)
    await stream.end()
  })

  const CHUNKED = { 'transfer-encoding': 'chunked' }

  it.each([
    ['h2', 'an empty DATA frame', {}],
    ['h2', 'content-length: 0 and an empty DATA frame', { 'content-length': '0' }],
    ['http/1.1', 'content-length: 0', {}],
    ['http/1.1', 'an empty chunked body', CHUNKED],
  ] as const)('T31: is 204 over %s with %s', async (protocol, _body, headers) => {
    const stream = await gateway.open(await gateway.token(), protocol)
    const fresh = await gateway.token({}, { lifetimeSeconds: 60 })
    const empty = { ...response(fresh, { ...handleOf(stream), ...headers }), body: '' }
    const answer = await gateway.request('/events', empty, protocol)
    expect([answer.status, answer.text]).toEqual([204, ''])
  })

  it.each([
    ['h2', 'in a DATA frame', {}],
    ['h2', 'with its length', { 'content-length': '2' }],
    ['http/1.1', 'with its length', { 'content-length': '2' }],
    ['http/1.1', 'in chunks', CHUNKED],
  ] as const)('T31: is 413 over %s with a body %s', async (protocol, _framing, headers) => {
    const stream = await gateway.open(await gateway.token(), protocol)
    const fresh = await gateway.token({}, { lifetimeSeconds: 60 })
    const withBody = { ...response(fresh, { ...handleOf(stream), ...headers }), body: '{}' }
    const answer = await gateway.request('/events', withBody, protocol)
    expect([answer.status, answer.json]).toEqual([
      413,
      { error: { code: 'body_too_large', message: 'The body is larger than 0 bytes.' } },
    ])
    gateway.clock.advance(30_000)
    await stream.end()
  })

  it('AL-50: is the only request that extends a stream', async () => {
    const connection = await gateway.connect()
    const stream = await open(connection)
    await connection.request('/index.html', {
      headers: bearer(await gateway.token({}, { lifetimeSeconds: 90 })),
    })
    const second = await open(connection, {}, 90)
    gateway.clock.advance(30_000)
    await stream.end()
    expect(second.ended).toBe('no')
  })

  it('AL-52: extends no stream beyond the maximum age, and sends no challenge that could not extend it', async () => {
    await gateway.start({ MAX_STREAM_AGE_SECONDS: '45' })
    const connection = await gateway.connect()
    const stream = await open(connection)
    gateway.clock.advance(20_000)
    await stream.event('challenge')
    expect((await connection.request('/events', response(await gateway.token()))).status).toBe(204)
    const later = await connection.request(
      '/events',
      response(await gateway.token({}, { lifetimeSeconds: 60 })),
    )
    expect([later.status, later.json]).toEqual([
      409,
      {
        error: {
          code: 'not_extended',
          message: expect.stringMatching(
            /^The stream closes at \S+Z, at its maximum age, and no token extends it\. The token expires at \S+Z\. Open a new stream\.$/,
          ),
        },
      },
    ])
    await pass(24_999)
    expect([stream.ended, challenges(stream)]).toEqual(['no', 1])
    gateway.clock.advance(1)
    await stream.end()
    expect(stream.seen.at(-1)).toBe('end:{"reason":"stream_too_old"}')
  })
})
