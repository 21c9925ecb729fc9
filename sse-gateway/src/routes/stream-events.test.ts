import { createHmac, sign } from 'node:crypto'
import { describeWith } from '@hallpass/service-kit/testing'
import { exportPublicPem, generateSigningKey } from '@hallpass/tokens'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import { nghttp } from '../testing/nghttp.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

const CHALLENGE =
  'event:challenge\ndata:{"method":"POST","headers":{"content-type":"application/x-challenge-response"}}\n\n'
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe.each(['h2', 'http/1.1'] as const)('GET /events over %s', (protocol) => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    gateway.request(path, { headers }, protocol)

  it('T01: sends published events, challenges ten seconds before the expiry, and closes at the expiry', async () => {
    const stream = await get(`/events?access_token=${await gateway.token()}`)
    expect(stream.status).toBe(200)
    gateway.upstream.send('data:Hello, world Wed Aug 29 9:05:52 PDT 2022\n\n')
    await stream.until(({ text }) => text === 'data:Hello, world Wed Aug 29 9:05:52 PDT 2022\n\n')
    gateway.clock.advance(19_999)
    await pause(60)
    expect(stream.events).toHaveLength(1)
    gateway.clock.advance(1)
    await stream.event('challenge')
    expect(`${stream.text.split('\n\n', 2)[1]}\n\n`).toBe(CHALLENGE)
    gateway.clock.advance(9_999)
    await pause(60)
    expect(stream.ended).toBe('no')
    gateway.clock.advance(1)
    await stream.end()
    expect(stream.ended).toBe('cleanly')
    expect(stream.seen.at(-1)).toBe('end:{"reason":"token_expired"}')
  })

  it('T02: accepts the token in the header, the query or a cookie', async () => {
    const token = await gateway.token()
    expect((await get('/events', bearer(token))).status).toBe(200)
    expect((await get(`/events?access_token=${token}`)).status).toBe(200)
    expect((await get('/events', { cookie: `a=b; access_token=${token}; c=d` })).status).toBe(200)
  })

  it('T03: prefers a valid header to an invalid query', async () => {
    expect((await get('/events?access_token=bad', bearer(await gateway.token()))).status).toBe(200)
  })

  it('T04: ignores a header of another scheme and uses a valid query', async () => {
    const token = await gateway.token()
    expect((await get(`/events?access_token=${token}`, { authorization: 'Basic eDp5' })).status).toBe(200)
    // A cookie whose name only ends with the configured name is another cookie.
    expect((await get('/events', { cookie: `my_access_token=${token}` })).status).toBe(401)
  })

  it('T05: accepts the scheme in any case', async () => {
    expect((await get('/events', { authorization: `bearer ${await gateway.token()}` })).status).toBe(200)
  })

  it('T06: decodes a token in the query', async () => {
    const token = (await gateway.token()).replaceAll('.', '%2E')
    expect((await get(`/events?access_token=${token}`)).status).toBe(200)
  })

  it('T07: answers 401 without an error code if there is no token', async () => {
    const answer = await get('/events')
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer realm="sse-gateway", resource_metadata="${gateway.url}/.well-known/oauth-protected-resource/events"`,
    )
    expect(answer.json).toEqual({ error: { code: 'no_token', message: 'no token provided' } })
    expect((await get('/events?access_token=')).status).toBe(401)
  })

  it('T09: answers 403 for a valid token without the scope', async () => {
    const answer = await get('/events', bearer(await gateway.token({ scope: 'other' })))
    expect(answer.status).toBe(403)
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer realm="sse-gateway", error="insufficient_scope", scope="proxy:stream", resource_metadata="${gateway.url}/.well-known/oauth-protected-resource/events"`,
    )
    expect(answer.json).toEqual({
      error: { code: 'insufficient_scope', message: 'The token needs the scope proxy:stream.' },
    })
  })

  it('T10: accepts scopes as an array or separated by any white space', async () => {
    for (const scope of [['x', 'proxy:stream'], 'a proxy:stream  b'])
      expect((await get('/events', bearer(await gateway.token({ scope })))).status).toBe(200)
  })

  it('T11: accepts an audience list that contains its own audience', async () => {
    const aud = ['https://other.example.com', 'https://api.example.com']
    expect((await get('/events', bearer(await gateway.token({ aud })))).status).toBe(200)
  })

  it('T13: challenges the stream of a token without a subject', async () => {
    const stream = await gateway.open(await gateway.token({ sub: undefined }), protocol)
    gateway.clock.advance(20_000)
    await stream.event('challenge')
  })

  it('T14: answers 405 with the allowed methods, with and without a token', async () => {
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE']) {
      const headers = method === 'PUT' ? {} : bearer(await gateway.token())
      const answer = await gateway.request('/events', { method, headers }, protocol)
      // A POST is only accepted as a challenge response, which this is not.
      const allow = method === 'POST' ? 'GET, OPTIONS' : 'GET, POST, OPTIONS'
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, allow])
    }
    const options = await gateway.request('/events', { method: 'OPTIONS' }, protocol)
    expect([options.status, options.headers.allow]).toEqual([204, 'GET, POST, OPTIONS'])
  })

  it('T15: answers 404 for a path that only resembles the stream’s', async () => {
    for (const path of ['/events/', '/eventsx', '/nope', '/Events', '//events', '/events%3f']) {
      const answer = await get(path, bearer(await gateway.token()))
      expect([path, answer.status]).toEqual([path, 404])
      expect(answer.json).toEqual({
        error: { code: 'no_such_path', message: 'No such path.' },
      })
    }
  })

  it('T16: accepts a last event ID of 254 bytes and rejects one of 255, in the header and in the query', async () => {
    const authorization = bearer(await gateway.token())
    // Two bytes each.
    const [fits, exceeds] = ['é'.repeat(127), `${'é'.repeat(127)}x`]
    const latin1 = (id: string) => Buffer.from(id).toString('latin1')
    expect((await get('/events', { ...authorization, 'last-event-id': latin1(fits) })).status).toBe(200)
    expect((await get(`/events?lastEventId=${encodeURIComponent(fits)}`, authorization)).status).toBe(200)
    for (const [path, headers] of [
      ['/events', { 'last-event-id': latin1(exceeds) }],
      [`/events?lastEventId=${encodeURIComponent(exceeds)}`, {}],
    ] as const) {
      const answer = await get(path, { ...authorization, ...headers })
      expect(answer.status).toBe(400)
      expect(answer.json).toEqual({
        error: { code: 'invalid_last_event_id', message: 'The last event ID is longer than 254 bytes.' },
      })
    }
    expect(gateway.upstream.requests.map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      latin1(fits),
      latin1(fits),
    ])
  })

  it('T17: prefers the last event ID in the header, and decodes the one in the query', async () => {
    const authorization = bearer(await gateway.token())
    await get('/events?lastEventId=7', { ...authorization, 'last-event-id': '5' })
    await get('/events?lastEventId=%31%30%30', authorization)
    const ids = gateway.upstream.requests.map(({ headers }) => headers['last-event-id'])
    expect(ids.filter((id) => id !== undefined)).toEqual(['5', '100'])
  })

  it('T18: answers a preflight for the headers that a stream and a challenge response need', async () => {
    const answer = await gateway.request(
      '/events',
      {
        method: 'OPTIONS',
        headers: {
          origin: 'https://app.example.com',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type',
        },
      },
      protocol,
    )
    expect(answer.status).toBe(204)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
      'access-control-allow-headers':
        'authorization, content-type, last-event-id, stream-handle, cache-control',
      'access-control-max-age': '600',
    })
  })

  it('T19: allows any page to read, even without an Origin header in the request', async () => {
    const stream = await gateway.open(await gateway.token(), protocol)
    expect(stream.headers['access-control-allow-origin']).toBe('*')
    expect(stream.headers['access-control-expose-headers']).toContain('stream-handle')
  })

  it('T20: accepts a request from its own origin', async () => {
    const stream = await gateway.open(await gateway.token(), protocol, { origin: gateway.url })
    expect(stream.headers['access-control-allow-origin']).toBe('*')
  })

  it('T21: allows pages to read rejections and responses to challenge responses', async () => {
    const connection = await gateway.connect(protocol)
    const good = bearer(await gateway.token())
    const type = { 'content-type': 'application/x-challenge-response' }
    const stream = await connection.request('/events', { headers: good })
    const handle = { 'stream-handle': stream.headers['stream-handle'] as string }
    const longer = bearer(await gateway.token({}, { lifetimeSeconds: 60 }))
    const answers = [
      await connection.request('/events'),
      await connection.request('/events', { headers: bearer(await gateway.token({ scope: 'other' })) }),
      await connection.request('/nope', { headers: good }),
      await connection.request('/events', { method: 'POST', headers: { ...good, ...type, ...handle } }),
      await connection.request('/events', { method: 'POST', headers: { ...longer, ...type, ...handle } }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([401, 403, 404, 409, 204])
    for (const { headers } of answers) {
      expect(headers['access-control-allow-origin']).toBe('*')
      expect(headers['cache-control']).toBe('no-store')
    }
  })

  it('sends headers that forbid caching, buffering and changing the stream', async () => {
    const stream = await gateway.open(await gateway.token(), protocol)
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-store, private, no-transform',
      'x-accel-buffering': 'no',
      'referrer-policy': 'no-referrer',
    })
  })

  it('sends nothing before the first event, and its handle first on request', async () => {
    const silent = await gateway.open(await gateway.token(), protocol)
    const asked = await get('/events?handle=1', bearer(await gateway.token()))
    await asked.event('stream')
    expect(asked.seen).toEqual([`stream:${JSON.stringify({ handle: asked.headers['stream-handle'] })}`])
    expect(silent.text).toBe('')
  })
})

describe('T08: an invalid token', () => {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const claims = () => ({
    iss: 'https://auth.example.com',
    aud: 'https://api.example.com',
    scope: 'proxy:stream',
    exp: gateway.clock.now() / 1000 + 30,
  })
  const input = (header: object) => `${encode(header)}.${encode(claims())}`
  const cases: [string, () => Promise<string> | string, string][] = [
    ['garbage', () => 'garbage', 'jwt malformed'],
    [
      'a changed signature',
      async () => `${(await gateway.token()).slice(0, -8)}AAAAAAAA`,
      'invalid signature',
    ],
    ['alg none', () => `${input({ alg: 'none', typ: 'JWT' })}.`, 'jwt signature is required'],
    [
      'HS256 with the public key as the secret',
      () => {
        const text = input({ alg: 'HS256', typ: 'JWT', kid: 'example' })
        const secret = exportPublicPem(gateway.keys.rs256)
        return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
      },
      'invalid algorithm',
    ],
    [
      'an algorithm other than its key’s',
      () => {
        const text = input({ alg: 'PS256', typ: 'JWT', kid: 'example' })
        const key = { key: gateway.keys.rs256.privateKey, padding: 6, saltLength: 32 }
        return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
      },
      'invalid algorithm',
    ],
    [
      'an unpublished key',
      async () => gateway.token({}, { key: await generateSigningKey('ES256', 'unknown') }),
      'invalid signature',
    ],
    [
      'another issuer',
      () => gateway.token({ iss: 'https://evil.example.com' }),
      'jwt issuer invalid. expected: https://auth.example.com',
    ],
    [
      'another audience',
      () => gateway.token({ aud: 'https://other.example.com' }),
      'jwt audience invalid. expected: https://api.example.com',
    ],
    ['an expiry in the past', () => gateway.token({}, { lifetimeSeconds: -1 }), 'jwt expired'],
    ['a start in the future', () => gateway.token({ nbf: gateway.clock.now() / 1000 + 6 }), 'jwt not active'],
    [
      'a lifetime of two days',
      () => gateway.token({}, { lifetimeSeconds: 172_800 }),
      'jwt lifetime too long',
    ],
  ]

  it.each(cases)('is rejected with 401: %s', async (_name, make, message) => {
    const answer = await gateway.request('/events', { headers: bearer(await make()) })
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer realm="sse-gateway", error="invalid_token", error_description="${message}", resource_metadata="${gateway.url}/.well-known/oauth-protected-resource/events"`,
    )
    expect(answer.json).toEqual({ error: { code: 'invalid_token', message } })
    expect(gateway.upstream.requests).toHaveLength(0)
  })
})

it('T12: rejects a token without exp; by configuration, accepts it for a stream that closes at its maximum age', async () => {
  const input = [
    { alg: 'RS256', kid: 'example', typ: 'JWT' },
    {
      iss: 'https://auth.example.com',
      aud: 'https://api.example.com',
      sub: 'example',
      scope: 'proxy:stream',
    },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const token = `${input}.${sign('sha256', Buffer.from(input), gateway.keys.rs256.privateKey).toString('base64url')}`
  const refused = await gateway.request('/events', { headers: bearer(token) })
  expect([refused.status, refused.json]).toEqual([
    401,
    { error: { code: 'invalid_token', message: 'jwt exp required' } },
  ])

  await gateway.start({ EXPIRY: 'optional', MAX_STREAM_AGE_SECONDS: '7200' })
  const stream = await gateway.open(token)
  gateway.clock.advance(7_199_000)
  gateway.upstream.send('data:late\n\n')
  await stream.until(({ seen }) => seen.includes('late'))
  expect(stream.seen).toEqual(['late'])
  gateway.clock.advance(1_000)
  await stream.end()
  expect(stream.seen).toEqual(['late', 'end:{"reason":"stream_too_old"}'])
})

describe('an ambiguous or malformed request', () => {
  it('is rejected with 400 if a source has two tokens', async () => {
    const token = await gateway.token()
    const twice = await gateway.request(`/events?access_token=${token}&access_token=${token}`)
    expect([twice.status, twice.json]).toEqual([
      400,
      {
        error: { code: 'invalid_request', message: 'The request has more than one access_token parameter.' },
      },
    ])
    expect(twice.headers['www-authenticate']).toContain('error="invalid_request"')
    const cookies = await gateway.request('/events', {
      headers: { cookie: `access_token=${token}; access_token=x` },
    })
    expect(cookies.status).toBe(400)
  })

  it('AL-53: cannot put NUL or a line break into a last event ID', async () => {
    for (const id of ['%00', 'a%0Adata:forged', 'a%0d'])
      expect(
        (await gateway.request(`/events?lastEventId=${id}`, { headers: bearer(await gateway.token()) }))
          .status,
      ).toBe(400)
    const huge = await gateway.request(`/events?lastEventId=${'x'.repeat(8_000)}`, {
      headers: bearer(await gateway.token()),
    })
    expect(huge.status).toBe(400)
  })
})

describeWith('nghttp', 'apt-get install nghttp2-client')('two Authorization headers', () => {
  it('are rejected with 400, although Node shows only the first', async () => {
    const token = await gateway.token()
    const frames = await nghttp(gateway, '/events', [
      `authorization: Bearer ${token}`,
      'authorization: Basic eDp5',
    ])
    expect(frames).toContain(':status: 400')
  })
})

describe('AL-55: pages of other origins', () => {
  it('cannot use the cookie that a browser sends for them', async () => {
    const headers = { cookie: `access_token=${await gateway.token()}` }
    const foreign = await gateway.request('/events', {
      headers: { ...headers, origin: 'https://evil.example' },
    })
    expect([foreign.status, foreign.json]).toEqual([
      403,
      {
        error: {
          code: 'origin_not_allowed',
          message: 'Pages of this origin are not allowed to use the stream. See ALLOWED_ORIGINS.',
        },
      },
    ])
    const own = await gateway.request('/events', { headers: { ...headers, origin: gateway.url } })
    expect(own.status).toBe(200)
  })

  it('are matched exactly if only some are allowed, which can then use cookies', async () => {
    await gateway.start({ ALLOWED_ORIGINS: 'https://app.example.com' })
    const headers = { cookie: `access_token=${await gateway.token()}` }
    const app = await gateway.request('/events', {
      headers: { ...headers, origin: 'https://app.example.com' },
    })
    expect([app.status, app.headers]).toMatchObject([
      200,
      {
        'access-control-allow-origin': 'https://app.example.com',
        'access-control-allow-credentials': 'true',
        vary: 'origin',
      },
    ])
    const evil = await gateway.request('/events', {
      headers: { ...headers, origin: 'https://app.example.com.evil.example' },
    })
    expect([evil.status, evil.headers['access-control-allow-origin'], evil.headers.vary]).toEqual([
      403,
      undefined,
      'origin',
    ])
  })
})

describe('limits', () => {
  it('AL-54: limits the streams of a subject, until one of them closes', async () => {
    await gateway.start({ MAX_STREAMS_PER_SUBJECT: '2' })
    const open = async (sub: string) =>
      gateway.request('/events', { headers: bearer(await gateway.token({ sub })) })
    const [first, second, third] = [await open('alice'), await open('alice'), await open('alice')]
    expect([first.status, second.status, third.status]).toEqual([200, 200, 429])
    expect(third.json).toEqual({
      error: {
        code: 'too_many_streams',
        message: 'This subject has reached its stream limit. Close a stream first.',
      },
    })
    expect(third.headers['retry-after']).toBe('30')
    expect((await open('bob')).status).toBe(200)
    first.close()
    await gateway.until(async () => (await open('alice')).status === 200)
  })

  it('limits the total number of streams', async () => {
    await gateway.start({ MAX_STREAMS: '1' })
    await gateway.open(await gateway.token())
    const refused = await gateway.request('/events', { headers: bearer(await gateway.token()) })
    expect([refused.status, refused.json]).toMatchObject([503, { error: { code: 'too_many_streams' } }])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('counts streams that wait for the upstream to connect', async () => {
    await gateway.start({ MAX_STREAMS: '2' })
    let connect = () => {}
    gateway.upstream.answer = (request, response) => {
      connect = () => gateway.upstream.stream(request, response)
    }
    const statuses: number[] = []
    const asked = ['a', 'b', 'c', 'd'].map(async (sub) => {
      const { status } = await gateway.request('/events', { headers: bearer(await gateway.token({ sub })) })
      statuses.push(status)
    })
    await gateway.until(() => statuses.length === 2)
    await gateway.upstream.until(({ requests }) => requests.length === 1)
    connect()
    await Promise.all(asked)
    expect(statuses).toEqual([503, 503, 200, 200])
  })
})

describe('a request for a topic', () => {
  it.each(['topic=news', 'handle=1&topic=news&topic=sport', 'topic=*', 'topic='])(
    '?%s is rejected, because a path has one upstream',
    async (query) => {
      const answer = await gateway.request(`/events?${query}`, { headers: bearer(await gateway.token()) })
      expect([answer.status, answer.json]).toEqual([
        400,
        {
          error: {
            code: 'topic_not_supported',
            message:
              'This path sends the same events to all clients. Set TOPICS_CLAIM or, in GATEWAY_CONFIG, topics of the path; or add a path whose upstream is /topics/NAME.',
          },
        },
      ])
      expect(gateway.upstream.requests).toHaveLength(0)
    },
  )

  it('is not recognized in other parameters, which pages add against caches', async () => {
    const path = '/events?_=1795316400000&topics=news&Topic=news'
    expect((await gateway.request(path, { headers: bearer(await gateway.token()) })).status).toBe(200)
  })

  it('is rejected only with a valid token', async () => {
    expect((await gateway.request('/events?topic=news')).status).toBe(401)
  })
})

it('finds roles under a nested claim, or one with a dot in its name', async () => {
  await gateway.start({ ROLES_CLAIM: 'realm_access.roles', SCOPES: 'viewer' })
  const statuses = await Promise.all(
    [{ realm_access: { roles: ['viewer'] } }, { 'realm_access.roles': 'viewer' }, { scope: 'viewer' }].map(
      async (claims) =>
        (await gateway.request('/events', { headers: bearer(await gateway.token(claims)) })).status,
    ),
  )
  expect(statuses).toEqual([200, 200, 403])
})

it('ignores query tokens if they are disabled', async () => {
  await gateway.start({ QUERY_TOKENS: 'off', TOKEN_COOKIE: '' })
  expect((await gateway.request(`/events?access_token=${await gateway.token()}`)).status).toBe(401)
})

describe('a gateway whose clock differs from the issuer’s', () => {
  const signedAt = (skewMs: number, lifetimeSeconds: number, claims = {}) => {
    const now = gateway.clock.now()
    gateway.clock.advance(skewMs)
    const token = gateway.token(claims, { lifetimeSeconds })
    gateway.clock.advance(now - gateway.clock.now())
    return token
  }

  it('opens streams on both ports 2 s behind and 2 s ahead of the issuer; each closes at `exp` by the gateway’s clock', async () => {
    await gateway.start()
    for (const skewMs of [2_000, -2_000]) {
      const [first, token] = [await signedAt(skewMs, 20), await signedAt(skewMs, 30)]
      for (const url of [gateway.url, gateway.secondUrl]) {
        const connection = await gateway.connect('h2', url)
        const stream = await connection.request('/events', { headers: bearer(first) })
        expect(stream.status).toBe(200)
        const extended = await connection.request('/events', {
          method: 'POST',
          headers: { ...bearer(token), 'content-type': 'application/x-challenge-response' },
        })
        expect(extended.status).toBe(204)
      }
      const admin = await signedAt(skewMs, 30, { scope: 'stream:revoke' })
      const listed = await gateway.request('/streams', { headers: bearer(admin) })
      const exp = (gateway.clock.now() + skewMs + 30_000) / 1000
      expect((listed.json as { open: { endsAt: string }[] }).open.map(({ endsAt }) => endsAt)).toContain(
        new Date(Math.floor(exp) * 1000).toISOString(),
      )
    }
    await gateway.stopServices()
    await gateway.start({ CLOCK_TOLERANCE_SECONDS: '0' })
    expect(
      (await gateway.request('/events', { headers: bearer(await signedAt(2_000, 30)) })).json,
    ).toMatchObject({ error: { message: 'jwt issued in the future' } })
  })

  it('opens no stream for a token that has expired by its clock, but accepts it to revoke', async () => {
    await gateway.start()
    const old = await signedAt(-2_000, 1, { scope: 'proxy:stream stream:revoke' })
    for (const [method, more] of [
      ['GET', {}],
      ['POST', { 'content-type': 'application/x-challenge-response' }],
    ] as const)
      expect(
        await gateway.request('/events', { method, headers: { ...bearer(old), ...more } }),
      ).toMatchObject({ status: 401, json: { error: { message: 'jwt expired' } } })
    expect((await gateway.request('/streams', { headers: bearer(old) })).status).toBe(200)
  })
})
