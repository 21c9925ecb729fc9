import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { ClientRequest } from '../testing/stream-client.ts'

const gateway = useGateway()
/** The bodies that the server got. */
const received: string[] = []
let answer: (body: string, response: ServerResponse, request: IncomingMessage) => void

const reply = (response: ServerResponse, status: number, body: unknown, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

beforeEach(() => {
  received.length = 0
  answer = (body, response) => {
    const value = JSON.parse(body)
    reply(
      response,
      202,
      Array.isArray(value) ? { ids: value.map((_, index) => `id ${index}`) } : { id: 'id é' },
    )
  }
  gateway.upstream.answer = (request, response) => {
    if (request.method === 'GET') {
      response.setHeader('event-fields', 'topic')
      return gateway.upstream.stream(request, response)
    }
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      received.push(body)
      answer(body, response, request)
    })
  }
})

const start = (env = {}) =>
  gateway.start({
    TOPICS_CLAIM: 'sse',
    PUBLISH_URL: gateway.upstream.url.replace('/events', '/publish'),
    ...env,
  })

const mayPublish = (...publish: string[]) => ({ sse: { publish } })

async function publish(
  body: unknown,
  claims: Readonly<Record<string, unknown>> = mayPublish('*'),
  { headers = {}, ...request }: ClientRequest = {},
) {
  return gateway.request('/publish', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await gateway.token(claims)}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...request,
  })
}

const errorOf = async (answered: ReturnType<typeof publish>) => {
  const { status, json } = await answered
  return [status, json.error]
}

describe('POST /publish', () => {
  it('forwards an object that the token allows to publish, and answers with the ID of the server', async () => {
    await start()
    const object = { topic: 'orders/7', data: { n: 1 }, id: 'é' }
    const answered = await publish(object, mayPublish('orders/{id}'))
    expect([answered.status, answered.json]).toEqual([202, { id: 'id é' }])
    expect(received.map((body) => JSON.parse(body))).toEqual([object])
    expect(gateway.upstream.requests.at(-1)?.url).toBe('/publish')
    expect(gateway.upstream.requests.at(-1)?.headers.authorization).toBeUndefined()
  })

  it('forwards a batch as a whole', async () => {
    await start()
    const batch = [{ topic: 'a', data: 1 }, { topic: 'orders/7' }, { topic: 'a', data: 'x' }]
    const answered = await publish(batch, mayPublish('a', 'orders/{id}'))
    expect([answered.status, answered.json]).toEqual([202, { ids: ['id 0', 'id 1', 'id 2'] }])
    expect(received).toEqual([JSON.stringify(batch)])
  })

  it('forwards numbers as they were written', async () => {
    await start()
    await publish('{"topic":"a","data":[12345678901234567890, 1.0, 1e400, "\\u00e9"]}')
    expect(received).toEqual(['{"topic":"a","data":[12345678901234567890,1.0,1e400,"é"]}'])
  })

  it.each([
    ['one', { topic: 'orders/8' }, '"orders/8"'],
    ['one of a batch', [{ topic: 'orders/7' }, { topic: 'news' }, { topic: 'orders/8' }], '"orders/8"'],
    ['a template', { topic: 'orders/{id}' }, '"orders/{id}"'],
  ])(
    'refuses %s that the token does not allow to publish, and forwards nothing',
    async (_what, body, topic) => {
      await start()
      const answered = await publish(body, mayPublish('orders/7', 'news'))
      expect([answered.status, answered.json.error]).toEqual([
        403,
        {
          code: 'topic_forbidden',
          message: `The token is not allowed to publish the topic ${topic}: its claim sse.publish must cover it.`,
        },
      ])
      expect(answered.headers['www-authenticate']).toMatch(
        /^Bearer realm="sse-gateway", error="insufficient_scope", resource_metadata="[^"]+\/publish"$/,
      )
      expect(received).toEqual([])
    },
  )

  it.each([[mayPublish('{any}')], [{ sse: { subscribe: ['*'] } }], [{}]])(
    'refuses an event without a topic with the claims %j: it would reach everyone',
    async (claims) => {
      await start()
      expect(await errorOf(publish({ data: 'x' }, claims))).toEqual([
        403,
        {
          code: 'topic_forbidden',
          message:
            'The token is not allowed to publish without a topic, which reaches all clients of the path: its claim sse.publish must contain "*".',
        },
      ])
    },
  )

  it('requires the scopes of the path, and no token in the URL', async () => {
    await start()
    expect(await errorOf(publish({ topic: 'a' }, { ...mayPublish('*'), scope: 'other' }))).toEqual([
      403,
      { code: 'insufficient_scope', message: 'The token needs the scope proxy:stream.' },
    ])
    const inUrl = await gateway.request(`/publish?access_token=${await gateway.token(mayPublish('*'))}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    expect([inUrl.status, inUrl.json.error]).toEqual([
      401,
      { code: 'no_token', message: 'no token provided' },
    ])
    expect(received).toEqual([])
  })

  it('accepts no revoked token, even if it is revoked while the body arrives', async () => {
    await start()
    const claims = { ...mayPublish('*'), sub: 'carol' }
    const revoke = async () =>
      gateway.request('/revocations', {
        method: 'POST',
        headers: { authorization: `Bearer ${await gateway.token({ scope: 'stream:revoke' })}` },
        body: '{"sub":"carol"}',
      })
    const session = http2.connect(gateway.url, { ca: gateway.ca })
    const headers = {
      ':method': 'POST',
      ':path': '/publish',
      authorization: `Bearer ${await gateway.token(claims)}`,
      'content-type': 'application/json',
    }
    const stream = session.request(headers)
    stream.write('{"topic":')
    // When this one is answered, the token of the other has been verified, too.
    const first = session.request(headers)
    first.end('{"topic":"first"}')
    await once(first.resume(), 'end')
    expect((await revoke()).status).toBe(204)
    const status = new Promise((resolve) => stream.once('response', (headers) => resolve(headers[':status'])))
    stream.end('"late"}')
    expect(await status).toBe(401)
    session.destroy()
    expect(await errorOf(publish({ topic: 'a' }, claims))).toEqual([
      401,
      { code: 'invalid_token', message: 'token revoked' },
    ])
    expect(received).toEqual(['{"topic":"first"}'])
  })

  it.each([
    ['an unfinished object', '{"topic":"a"', 400, 'malformed_json', 'The text is not valid JSON.'],
    ['nothing', '', 400, 'malformed_json', 'The text is not valid JSON.'],
    ['a number', '7', 400, 'not_one_object', 'The body must be one JSON object, or an array of objects.'],
    [
      'a list in a list',
      '[{"topic":"a"},[]]',
      400,
      'not_one_object',
      'The body must be one JSON object, or an array of objects.',
    ],
    ['a topic that is a number', '{"topic":7}', 400, 'bad_member', 'topic must be a string.'],
    ['a duplicate topic', '{"topic":"mine","topic":"other"}', 400, 'duplicate_member', expect.any(String)],
    [
      'too many levels',
      `{"topic":${'['.repeat(65)}${']'.repeat(65)}}`,
      400,
      'json_too_deep',
      expect.any(String),
    ],
    [
      'more than 2 MiB',
      `{"data":"${'x'.repeat(2 * 1024 * 1024)}"}`,
      413,
      'body_too_large',
      expect.any(String),
    ],
  ])('refuses a body with %s', async (_what, body, status, code, message) => {
    await start()
    expect(await errorOf(publish(body))).toEqual([status, { code, message }])
    expect(received).toEqual([])
  })

  it('refuses other content types, which pages can send without a preflight', async () => {
    await start()
    expect(
      await errorOf(publish({ topic: 'a' }, mayPublish('*'), { headers: { 'content-type': 'text/plain' } })),
    ).toEqual([415, { code: 'wrong_content_type', message: 'The content type must be application/json.' }])
  })

  it('lets pages of allowed origins publish, also after a preflight, and none with only a cookie', async () => {
    await start()
    const origin = { origin: 'https://app.example.com' }
    const allowed = await publish({ topic: 'a' }, mayPublish('*'), { headers: origin })
    expect([allowed.status, allowed.headers['access-control-allow-origin']]).toEqual([202, '*'])
    const preflight = await gateway.request('/publish', {
      method: 'OPTIONS',
      headers: { ...origin, 'access-control-request-method': 'POST' },
    })
    expect([preflight.status, preflight.headers['access-control-allow-headers']]).toEqual([
      204,
      expect.stringContaining('content-type'),
    ])
    const byCookie = await gateway.request('/publish', {
      method: 'POST',
      headers: {
        ...origin,
        cookie: `access_token=${await gateway.token(mayPublish('*'))}`,
        'content-type': 'application/json',
      },
      body: '{"topic":"a"}',
    })
    expect([byCookie.status, byCookie.json.error]).toEqual([
      403,
      expect.objectContaining({ code: 'origin_not_allowed' }),
    ])
    expect(byCookie.headers['access-control-allow-origin']).toBe('*')
  })

  it('answers 405 to other methods, and 404 without PUBLISH_URL', async () => {
    await start()
    const get = await gateway.request('/publish')
    expect([get.status, get.headers.allow]).toEqual([405, 'POST, OPTIONS'])
    await gateway.start({ TOPICS_CLAIM: 'sse' })
    expect((await publish({ topic: 'a' })).status).toBe(404)
  })

  it.each([
    [400, { code: 'reserved_id', message: 'id "1-2" is reserved' }],
    [409, { code: 'id_conflict', message: 'another event' }],
    [413, { code: 'event_too_large', message: 'The event has …' }],
    [429, { code: 'too_many', message: 'wait' }],
  ])('passes on an error %i of the server', async (status, error) => {
    answer = (_body, response) => reply(response, status, { error })
    await start()
    expect(await errorOf(publish({ topic: 'a' }))).toEqual([status, error])
  })

  it.each([
    ['7', '7'],
    ['86400', '60'],
    [undefined, expect.stringMatching(/^[1-4]$/)],
  ])('passes on a 503 of the server with Retry-After %s as %s', async (given, sent) => {
    const error = { code: 'log_unavailable', message: 'The event log does not respond.' }
    answer = (_body, response) => reply(response, 503, { error }, given ? { 'retry-after': given } : {})
    await start()
    const answered = await publish({ topic: 'a' })
    expect([answered.status, answered.json.error, answered.headers['retry-after']]).toEqual([
      503,
      error,
      sent,
    ])
  })

  it.each([
    ['401, which is about the gateway', 401, { error: { code: 'invalid_token', message: 'secret' } }],
    ['200', 200, { id: '1' }],
    ['202 without an ID', 202, { ok: true }],
    ['202 with a list', 202, ['1']],
    ['500', 500, { error: { code: 'internal', message: 'secret' } }],
    ['400 of another program', 400, { message: 'secret' }],
  ])('answers 502 if the server answers %s', async (_what, status, body) => {
    answer = (_body, response) => reply(response, status, body)
    await start()
    const answered = await publish({ topic: 'a' })
    expect([answered.status, answered.json.error, answered.headers['retry-after']]).toEqual([
      502,
      {
        code: 'publish_refused',
        message: `The SSE server did not accept the publication: it answered ${status}.`,
      },
      expect.stringMatching(/^[1-4]$/),
    ])
  })

  it('answers 502 while the server is down, 504 if it does not answer, and 202 when it is back', async () => {
    await start({ UPSTREAM_TIMEOUT_MS: '300' })
    await gateway.upstream.kill()
    const down = await publish({ topic: 'a' })
    expect([down.status, down.json.error, down.headers['retry-after']]).toEqual([
      502,
      { code: 'publish_unreachable', message: 'The SSE server is not reachable.' },
      expect.stringMatching(/^[1-4]$/),
    ])
    await gateway.upstream.start()
    const works = answer
    answer = () => {}
    const silent = await publish({ topic: 'a' })
    expect([silent.status, silent.json.error, silent.headers['retry-after']]).toEqual([
      504,
      {
        code: 'publish_timeout',
        message:
          'The SSE server did not answer in time, so it is unknown whether it stored the publication. Retry with your own id, the same each time, so that it is stored once.',
      },
      expect.stringMatching(/^[1-4]$/),
    ])
    answer = works
    expect((await publish({ topic: 'a' })).status).toBe(202)
  })

  it('bounds what is in progress, per subject and in all', async () => {
    const open: ServerResponse[] = []
    answer = (_body, response) => open.push(response)
    await start()
    const asked = Array.from({ length: 16 }, () => publish({ topic: 'a' }))
    await gateway.until(() => open.length === 16)
    const more = await publish({ topic: 'a' })
    expect([more.status, more.json.error, more.headers['retry-after']]).toEqual([
      429,
      {
        code: 'too_many_publications',
        message: 'This subject has too many publications in progress. Wait for an answer, or send a batch.',
      },
      '1',
    ])
    for (const sub of ['b', 'c', 'd'])
      for (let index = 0; index < 16; index += 1)
        asked.push(publish({ topic: 'a' }, { ...mayPublish('*'), sub }))
    await gateway.until(() => open.length === 64)
    expect(await errorOf(publish({ topic: 'a' }, { ...mayPublish('*'), sub: 'e' }))).toEqual([
      503,
      { code: 'too_many_publications', message: 'Too many publications are in progress. Retry later.' },
    ])
    for (const response of open) reply(response, 202, { id: '1' })
    expect(new Set((await Promise.all(asked)).map(({ status }) => status))).toEqual(new Set([202]))
    answer = (_body, response) => reply(response, 202, { id: '1' })
    expect((await publish({ topic: 'a' })).status).toBe(202)
  })

  it('counts and logs publications, without their content', async () => {
    await start()
    await publish([{ topic: 'a', data: 'private text' }, { topic: 'b' }])
    await publish({ topic: 'a' }, mayPublish('b'))
    answer = (_body, response) => reply(response, 500, {})
    await publish({ topic: 'a' })
    const metrics = (await gateway.request('/metrics')).text
    for (const result of ['accepted', 'refused', 'failed'])
      expect(metrics).toContain(
        `sse_publications_total{path="/events",result="${result}",service="sse-gateway"} 1`,
      )
    expect(gateway.log).toMatch(/"publications":2/)
    expect(gateway.log).not.toContain('private text')
  })

  it('describes its protected resource', async () => {
    await start({ PUBLISH_PATH: '/events/publish' })
    const resource = await gateway.request('/.well-known/oauth-protected-resource/events/publish')
    expect([resource.status, resource.json.scopes_supported]).toEqual([200, ['proxy:stream']])
  })
})
