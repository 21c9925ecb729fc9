import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { publishHopsTo } from '@hallpass/service-kit'
import { expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Answer } from '../testing/stream-client.ts'

const gateway = useGateway()

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const INVALID = {
  error: {
    code: 'invalid_ticket',
    message: 'The ticket is unknown, used or expired. Request another from POST /tickets.',
  },
}

async function ask(headers: Record<string, string>, body?: object, target = '/tickets'): Promise<Answer> {
  return gateway.request(target, {
    method: 'POST',
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

async function ticket(claims: object = {}, options?: { lifetimeSeconds: number }): Promise<string> {
  const { status, json } = await ask(bearer(await gateway.token({ ...claims }, options)))
  expect(status).toBe(201)
  return json.ticket as string
}

const use = (one: string, headers: Record<string, string> = {}, path = '/events') =>
  gateway.request(`${path}?ticket=${one}`, { headers })

async function expectInvalid(one: string, path = '/events') {
  const { status, json, headers } = await use(one, {}, path)
  expect([status, json]).toEqual([401, INVALID])
  expect(headers['www-authenticate']).toContain('Bearer realm="sse-gateway", error="invalid_token"')
}

it('is 201 with an opaque ticket that opens one stream, which closes when the token expires', async () => {
  await gateway.start()
  const { status, json, headers } = await ask({
    ...bearer(await gateway.token()),
    origin: 'https://page.example',
  })
  expect([status, json]).toEqual([201, { ticket: expect.stringMatching(/^[\w-]{43}$/), expiresIn: 30 }])
  expect([headers['cache-control'], headers['access-control-allow-origin']]).toEqual(['no-store', '*'])
  const one = json.ticket as string
  const streams = await Promise.all([use(one), use(one)])
  expect(streams.map((stream) => stream.status).sort()).toEqual([200, 401])
  await expectInvalid(one)
  gateway.clock.advance(30_000)
  const stream = streams.find(({ status }) => status === 200) as Answer
  await stream.end()
  expect(stream.seen).toEqual(['end:{"reason":"token_expired"}'])
})

it('the stream of a ticket is extended like any other, by a token in the header and its handle', async () => {
  await gateway.start()
  const stream = await use(await ticket())
  gateway.clock.advance(20_000)
  await stream.event('challenge')
  const { status } = await gateway.request('/events', {
    method: 'POST',
    headers: {
      ...bearer(await gateway.token()),
      'content-type': 'application/x-challenge-response',
      'stream-handle': stream.headers['stream-handle'] as string,
    },
  })
  expect(status).toBe(204)
})

it('one message rejects an unknown, expired or revoked ticket, and one of an expired token', async () => {
  await gateway.start()
  await expectInvalid('A'.repeat(43))
  const short = await ask(bearer(await gateway.token({}, { lifetimeSeconds: 10 })))
  expect(short.json.expiresIn).toBe(10)
  const expired = await ticket({}, { lifetimeSeconds: 300 })
  gateway.clock.advance(10_000)
  await expectInvalid(short.json.ticket as string)
  gateway.clock.advance(20_000)
  await expectInvalid(expired)
  const revoked = await ticket({ sub: 'carol' }, { lifetimeSeconds: 300 })
  const admin = await gateway.token({ scope: 'stream:revoke' })
  const { status } = await ask(bearer(admin), { sub: 'carol' }, '/revocations')
  expect(status).toBe(204)
  await expectInvalid(revoked)
})

it('a ticket takes precedence over a cookie, and two tickets are rejected', async () => {
  await gateway.start()
  const cookie = { cookie: `access_token=${await gateway.token()}` }
  expect((await use('unknown', cookie)).json).toEqual(INVALID)
  const twice = await gateway.request(`/events?ticket=a&ticket=b`)
  expect([twice.status, twice.json]).toEqual([
    400,
    { error: { code: 'invalid_request', message: 'The request has more than one ticket parameter.' } },
  ])
})

it('takes the token from the header or a cookie of the own origin, never from the query', async () => {
  const url = await gateway.start()
  const token = await gateway.token()
  const inQuery = await ask({}, undefined, `/tickets?access_token=${token}`)
  expect([inQuery.status, inQuery.json]).toEqual([
    401,
    { error: { code: 'no_token', message: 'no token provided' } },
  ])
  const cookie = `access_token=${token}`
  expect((await ask({ cookie, origin: url })).status).toBe(201)
  const foreign = await ask({ cookie, origin: 'https://page.example' })
  expect([foreign.status, (foreign.json.error as { code: string }).code]).toEqual([403, 'origin_not_allowed'])
  const other = await ask(bearer(await gateway.token({ scope: 'other' })))
  expect([other.status, other.json]).toEqual([
    403,
    { error: { code: 'insufficient_scope', message: 'The token needs the scope proxy:stream.' } },
  ])
})

it('is for one path, by default the first, with the issuers and the scope of that path', async () => {
  const file = join(gateway.stateFolder, 'paths.yaml')
  const rule = (scope: string) =>
    `{ upstream: '${gateway.upstream.url}', scopes: [${scope}], issuers: [{ issuer: https://auth.example.com, audience: https://api.example.com, jwksFile: '${join(gateway.stateFolder, 'sse/jwks.json')}' }] }`
  await writeFile(file, `paths: { /events: ${rule('proxy:stream')}, /orders: ${rule('orders:read')} }`)
  await gateway.start({ GATEWAY_CONFIG: file })
  const token = await gateway.token({ scope: 'orders:read' })
  expect((await ask(bearer(token), {})).status).toBe(403)
  const { json } = await ask(bearer(token), { path: '/orders' })
  await expectInvalid(json.ticket as string)
  expect((await use(json.ticket as string, {}, '/orders')).status).toBe(200)
  for (const [body, error] of [
    [{ path: '/x' }, { code: 'unknown_path', message: 'The path is not a path of events of this gateway.' }],
    [
      { paths: [] },
      {
        code: 'invalid_request',
        message: 'The body can contain only path, such as {"path": "/events"}.',
      },
    ],
  ] as const) {
    const { status, json } = await ask(bearer(token), body)
    expect([status, json]).toEqual([400, { error }])
  }
})

it('is 429 above the limit of a subject and 503 above that of the gateway, until tickets are used or expire', async () => {
  await gateway.start({ MAX_STREAMS_PER_SUBJECT: '2', MAX_STREAMS: '3' })
  const tickets = [await ticket({ sub: 'a' }), await ticket({ sub: 'a' })]
  const refused = async (sub: string) => {
    const { status, json, headers } = await ask(bearer(await gateway.token({ sub })))
    return [status, (json.error as { message: string }).message, headers['retry-after']]
  }
  expect(await refused('a')).toEqual([429, 'This subject has too many unused tickets. Retry later.', '30'])
  await ticket({ sub: 'b' })
  expect(await refused('c')).toEqual([
    503,
    'Too many tickets are unused. Retry later.',
    expect.stringMatching(/^[1-4]$/),
  ])
  expect((await use(tickets[0] as string)).status).toBe(200)
  await ticket({ sub: 'a' })
  gateway.clock.advance(30_000)
  await ticket({ sub: 'a' })
  await ticket({ sub: 'a' })
})

it('neither a ticket nor a token is in the log, the hops or the metrics', async () => {
  const hops: unknown[] = []
  publishHopsTo((hop) => hops.push(hop))
  await gateway.start()
  const token = await gateway.token()
  const { json } = await ask({ ...bearer(token), 'x-hallpass-run': 'run' })
  const one = json.ticket as string
  const stream = await use(one)
  await expectInvalid(one)
  await gateway.request(`/events?access_token=${token}`)
  stream.close()
  await gateway.until(() => gateway.log.includes('client_gone'))
  const { text } = await gateway.request('/metrics')
  for (const seen of [gateway.log, JSON.stringify(hops), text]) {
    expect(seen).toContain('/events')
    for (const secret of [one, token, 'ticket=', 'access_token']) expect(seen).not.toContain(secret)
  }
  publishHopsTo(undefined)
})
