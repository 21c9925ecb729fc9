import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestAuthorizationServer } from '@hallpass/callers/testing'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import { type Connection, connectHttp2 } from '../testing/stream-client.ts'

describeWith('redis-server', 'apt-get install redis-server')('several gateways with one Redis', () => {
  const gateway = useGateway()
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  async function two(env: Readonly<Record<string, string>> = {}): Promise<[Connection, Connection]> {
    const urls = [
      await gateway.start({ REDIS_URL: redis.url, ...env }),
      await gateway.start({ REDIS_URL: redis.url, ...env }),
    ]
    const connections = await Promise.all(urls.map((url) => gateway.connect('h2', url)))
    return connections as [Connection, Connection]
  }

  const revoke = async (connection: Connection, sub: string) =>
    connection.request('/revocations', {
      method: 'POST',
      headers: bearer(await gateway.token({ sub: 'operator', scope: 'stream:revoke' })),
      body: JSON.stringify({ sub }),
    })

  it('close a revoked subject’s streams on each within a second, and reject them on one that starts later', async () => {
    const [one, other] = await two()
    const token = await gateway.token({ sub: 'carol' })
    const streams = [
      await one.request('/events', { headers: bearer(token) }),
      await other.request('/events', { headers: bearer(token) }),
    ]
    const started = Date.now()
    expect((await revoke(one, 'carol')).status).toBe(204)
    await Promise.all(streams.map((stream) => stream.end()))
    expect(Date.now() - started).toBeLessThan(1_000)
    for (const stream of streams) expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
    const later = await connectHttp2(await gateway.start({ REDIS_URL: redis.url }), gateway.ca)
    expect((await later.request('/events', { headers: bearer(token) })).status).toBe(401)
    later.close()
  })

  it('accept a challenge response for a stream of another gateway', async () => {
    const [one, other] = await two()
    const stream = await one.request('/events', { headers: bearer(await gateway.token()) })
    gateway.clock.advance(20_000)
    await stream.event('challenge')
    const answer = async (sub: string, handle: string, token?: string) =>
      other.request('/events', {
        method: 'POST',
        headers: {
          ...bearer(token ?? (await gateway.token({ sub }))),
          'content-type': 'application/x-challenge-response',
          'stream-handle': handle,
        },
      })
    const handle = stream.headers['stream-handle'] as string
    expect((await answer('mallory', handle)).status).toBe(403)
    expect((await answer('example', `${handle}x`)).status).toBe(403)
    expect((await answer('example', 'AAAAAAAA.gone')).status).toBe(403)
    const token = await gateway.token()
    for (const _attempt of ['lost', 'repeated'])
      expect((await answer('example', handle, token)).status).toBe(204)
    const short = await answer('example', handle, await gateway.token({}, { lifetimeSeconds: 20 }))
    expect([short.status, short.json]).toEqual([
      409,
      {
        error: {
          code: 'not_extended',
          message: expect.stringMatching(
            /^The stream closes at \S+Z\. The token expires at \S+Z\. Send a token that expires later\.$/,
          ),
        },
      },
    ])
    gateway.clock.advance(15_000)
    await new Promise((resolve) => setTimeout(resolve, 80))
    expect(stream.ended).toBe('no')
  })

  it('refuse a challenge response for a stream of another gateway that does not cover its topics', async () => {
    gateway.upstream.answer = (request, response) => {
      response.setHeader('event-fields', 'topic')
      gateway.upstream.stream(request, response)
    }
    const [one, other] = await two({ TOPICS_CLAIM: 'sse' })
    const stream = await one.request('/events', {
      headers: bearer(await gateway.token({ sse: { subscribe: ['orders/{id}'] } })),
    })
    gateway.clock.advance(20_000)
    await stream.event('challenge')
    const answerWith = async (subscribe: readonly string[]) =>
      other.request('/events', {
        method: 'POST',
        headers: {
          ...bearer(await gateway.token({ sse: { subscribe } })),
          'content-type': 'application/x-challenge-response',
          'stream-handle': stream.headers['stream-handle'] as string,
        },
      })
    const refused = await answerWith(['orders/7'])
    expect([refused.status, refused.json]).toEqual([
      403,
      {
        error: {
          code: 'topic_forbidden',
          message:
            'The token is not allowed to read the topic "orders/{id}": its claim sse.subscribe must cover it.',
        },
      },
    ])
    expect((await answerWith(['*'])).status).toBe(204)
  })

  it('exchange answers with a gateway of the previous version, in both directions', async () => {
    const [one] = await two()
    const stream = await one.request('/events', { headers: bearer(await gateway.token()) })
    const handle = stream.headers['stream-handle'] as string
    const { Redis } = await import('ioredis')
    const [commands, messages] = [new Redis(redis.url), new Redis(redis.url)]
    const channel = (node: string) => `hallpass:sse-gateway:node:${node}`
    /** The strict format of the previous version, which ignores anything else. */
    const answers: { extended: boolean }[] = []
    messages.on('message', (_channel, text: string) => {
      const message = JSON.parse(text)
      if (Object.keys(message).sort().join() === 'answer,extended') answers.push(message)
      if ('ask' in message)
        void commands.publish(channel(message.from), JSON.stringify({ answer: message.ask, extended: true }))
    })
    try {
      await messages.subscribe(channel('previous'))
      const expiresAt = gateway.clock.now() + 60_000
      const grant = {
        issuer: 'https://auth.example.com',
        subject: 'example',
        expiresAt,
        roles: [],
        tokenId: 'x',
      }
      const ask = { ask: 'a', from: 'previous', path: '/events', grant }
      const node = handle.split('.')[0] as string
      for (const named of [handle, `${handle}x`])
        await commands.publish(channel(node), JSON.stringify({ ...ask, handle: named }))
      await gateway.until(() => answers.length === 2)
      expect(answers).toEqual([
        { answer: 'a', extended: true },
        { answer: 'a', extended: false },
      ])
      const answer = await one.request('/events', {
        method: 'POST',
        headers: {
          ...bearer(await gateway.token()),
          'content-type': 'application/x-challenge-response',
          'stream-handle': 'previous.handle',
        },
      })
      expect(answer.status).toBe(204)
    } finally {
      commands.disconnect()
      messages.disconnect()
    }
  })

  it('close a stream that a ticket of another gateway opened when its key is withdrawn', async () => {
    const file = join(gateway.stateFolder, 'tickets.json')
    const [old, young] = [
      await generateSigningKey('ES256', 'old'),
      await generateSigningKey('ES256', 'young'),
    ]
    const publish = (...keys: SigningKey[]) => writeFile(file, JSON.stringify(publicJwks(keys)))
    await publish(old, young)
    const [one, other] = await two({ JWKS_FILE: file })
    const open = async (key: SigningKey) => {
      const headers = bearer(await gateway.token({}, { key, lifetimeSeconds: 3_600 }))
      const { json } = await one.request('/tickets', { method: 'POST', headers })
      return other.request(`/events?ticket=${json.ticket}`)
    }
    const [stream, second, stays] = [await open(old), await open(old), await open(young)]
    await publish(young)
    gateway.clock.advance(6_000)
    await Promise.all([stream.end(), second.end()])
    for (const { seen } of [stream, second]) expect(seen.at(-1)).toBe('end:{"reason":"key_withdrawn"}')
    expect([stays.status, stays.ended]).toEqual([200, 'no'])
  })

  it('close a stream that another gateway extended only when the new key is withdrawn, not while they do not know it', async () => {
    const file = join(gateway.stateFolder, 'peers.json')
    const [old, young] = [
      await generateSigningKey('ES256', 'old'),
      await generateSigningKey('ES256', 'young'),
    ]
    const publish = (...keys: SigningKey[]) => writeFile(file, JSON.stringify(publicJwks(keys)))
    await publish(old)
    const [one, other] = await two({ JWKS_FILE: file })
    const stream = await one.request('/events', {
      headers: bearer(await gateway.token({}, { key: old, lifetimeSeconds: 3_000 })),
    })
    gateway.clock.advance(1_000)
    await publish(old, young)
    const answer = await other.request('/events', {
      method: 'POST',
      headers: {
        ...bearer(await gateway.token({}, { key: young, lifetimeSeconds: 3_600 })),
        'content-type': 'application/x-challenge-response',
        'stream-handle': stream.headers['stream-handle'] as string,
      },
    })
    expect(answer.status).toBe(204)
    gateway.clock.advance(1_000)
    await new Promise((resolve) => setTimeout(resolve, 80))
    expect(stream.ended).toBe('no')
    await publish(old)
    gateway.clock.advance(6_000)
    await stream.end()
    expect(stream.seen.at(-1)).toBe('end:{"reason":"key_withdrawn"}')
  })

  it('are not ready while Redis is unavailable, keep their streams, and then load what they missed', async () => {
    const [one, other] = await two()
    expect((await one.request('/readyz')).status).toBe(200)
    const stream = await one.request('/events', { headers: bearer(await gateway.token({ sub: 'dave' })) })
    await redis.kill()
    await gateway.until(async () => (await one.request('/readyz')).status === 503)
    const untold = await revoke(other, 'dave')
    expect([untold.status, untold.json]).toEqual([
      503,
      {
        error: { code: 'peers_not_told', message: 'The revocation did not reach the other gateways. Retry.' },
      },
    ])
    gateway.upstream.send('data:still here\n\n')
    await stream.until(({ seen }) => seen.includes('still here'))
    await redis.start()
    await gateway.until(async () => (await one.request('/readyz')).status === 200)
    gateway.clock.advance(1)
    expect((await revoke(other, 'dave')).status).toBe(204)
    await stream.end()
    expect(stream.seen.at(-1)).toBe('end:{"reason":"token_revoked"}')
  })

  it('close a stream of another gateway when the issuer revokes its opaque token', async () => {
    const server = await new TestAuthorizationServer().start()
    try {
      const [one, other] = await two({
        ISSUER: server.issuer,
        INTROSPECTION_URL: server.url,
        INTROSPECTION_CLIENT_ID: server.clientId,
        INTROSPECTION_CLIENT_SECRET_FILE: server.secretFile,
      })
      const now = gateway.clock.now() / 1000
      const rights = { aud: 'https://api.example.com', token_type: 'Bearer', scope: 'proxy:stream' }
      for (const token of ['by-ticket', 'opened', 'extended'])
        server.tokens.set(token, {
          ...rights,
          sub: 'ivy',
          iat: now,
          exp: now + (token === 'opened' ? 60 : 600),
        })
      const issued = await one.request('/tickets', { method: 'POST', headers: bearer('by-ticket') })
      const streams = [
        await other.request(`/events?ticket=${issued.json.ticket}`),
        await other.request('/events', { headers: bearer('opened') }),
      ]
      const extended = await one.request('/events', {
        method: 'POST',
        headers: {
          ...bearer('extended'),
          'content-type': 'application/x-challenge-response',
          'stream-handle': `${streams[1]?.headers['stream-handle']}`,
        },
      })
      expect([issued.status, extended.status]).toEqual([201, 204])
      server.tokens.clear()
      await gateway.until(() => {
        gateway.clock.advance(500)
        return streams.every(({ ended }) => ended !== 'no')
      })
      for (const { seen } of streams) expect(seen.at(-1)).toBe('end:{"reason":"token_revoked"}')
    } finally {
      await server.remove()
    }
  })

  it('redeem a ticket of another gateway, exactly once, from a store without tokens and tickets', async () => {
    const [one, other] = await two()
    const token = await gateway.token({ sub: 'grace' })
    const earlier = await redis.command('KEYS', '*:tickets:entry:*')
    const issue = () => one.request('/tickets', { method: 'POST', headers: bearer(token) })
    const ticket = (await issue()).json.ticket as string
    const names = await redis.command('KEYS', '*:tickets:entry:*')
    const [key = ''] = names.filter((name) => !earlier.includes(name))
    const [left] = await redis.command('PTTL', key)
    expect(Number(left)).toBeLessThanOrEqual(30_000)
    const stored = [key, ...(await redis.command('GET', key))].join()
    expect(stored).toContain('"subject":"grace"')
    for (const secret of [ticket, token]) expect(stored).not.toContain(secret)
    const answers = await Promise.all(
      [one, other, one, other].map((gate) => gate.request(`/events?ticket=${ticket}`)),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401])
    expect(await redis.command('GET', key)).toEqual([expect.not.stringContaining('grace')])
    const second = (await issue()).json.ticket
    expect((await other.request(`/events?ticket=${second}`)).status).toBe(200)
    await redis.kill()
    const { status, json, headers } = await issue()
    expect([status, json, headers['retry-after']]).toEqual([
      503,
      {
        error: {
          code: 'tickets_unavailable',
          message: 'The store of tickets is unavailable. Retry later.',
        },
      },
      expect.stringMatching(/^[1-4]$/),
    ])
    expect((await other.request(`/events?ticket=${second}`)).status).toBe(503)
    await redis.start()
  })

  it('are not ready while Redis is frozen, and recover', async () => {
    const [one, other] = await two()
    const stream = await one.request('/events', { headers: bearer(await gateway.token({ sub: 'frank' })) })
    redis.freeze()
    await gateway.until(async () => (await one.request('/readyz')).status === 503)
    await gateway.until(async () => (await other.request('/readyz')).status === 503)
    expect((await revoke(other, 'frank')).status).toBe(503)
    redis.thaw()
    await gateway.until(async () => (await one.request('/readyz')).status === 200)
    await gateway.until(async () => (await other.request('/readyz')).status === 200)
    gateway.clock.advance(1)
    expect((await revoke(other, 'frank')).status).toBe(204)
    await stream.end()
    expect(stream.seen.at(-1)).toBe('end:{"reason":"token_revoked"}')
  }, 20_000)

  it('write revocations back to an emptied Redis, so that a gateway that starts later knows them', async () => {
    const [one] = await two()
    const token = await gateway.token({ sub: 'erin' })
    expect((await revoke(one, 'erin')).status).toBe(204)
    await redis.command('FLUSHALL')
    await gateway.until(async () =>
      (await redis.keys()).includes('{hallpass:sse-gateway:revocations}:pinned'),
    )
    const later = await connectHttp2(await gateway.start({ REDIS_URL: redis.url }), gateway.ca)
    expect((await later.request('/events', { headers: bearer(token) })).status).toBe(401)
    later.close()
  })
})

describeWith('redis-server', 'apt-get install redis-server')('a gateway with a protected Redis', () => {
  const gateway = useGateway()

  it('is ready with the password of the file and the configured CA', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hallpass-redis-tls-'))
    const { caFile, ...files } = await ensureDevelopmentCertificates(folder)
    const redis = await RedisServer.start({ ...files, password: 'a good password' })
    const passwordFile = join(folder, 'password')
    await writeFile(passwordFile, 'a good password')
    const url = await gateway.start({
      REDIS_URL: redis.url,
      REDIS_CA_FILE: caFile,
      REDIS_PASSWORD_FILE: passwordFile,
    })
    const connection = await gateway.connect('h2', url)
    expect((await connection.request('/readyz')).status).toBe(200)
    await redis.remove()
    await rm(folder, { recursive: true })
  })
})
