import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
const REVOKED = [401, { error: { code: 'invalid_token', message: 'token revoked' } }]
const HOUR_MS = 3_600_000

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const jtiOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti

async function revoke(body: object, token?: string): Promise<number> {
  const authorization = bearer(token ?? (await gateway.token({ sub: 'operator', scope: 'stream:revoke' })))
  const request = { method: 'POST', headers: authorization, body: JSON.stringify(body) }
  return (await gateway.request('/revocations', request)).status
}

async function send(token: string) {
  const answer = await gateway.request('/events', { headers: bearer(token) })
  answer.close()
  return [answer.status, answer.status === 200 ? undefined : answer.json]
}

describe('a revocation without Redis', () => {
  it.each(['jti', 'sub', 'session'])('of a %s survives a restart', async (kind) => {
    await gateway.start()
    const token = await gateway.token({ sub: 'alice', sid: 'login-1' }, { lifetimeSeconds: 3_600 })
    const value = { jti: jtiOf(token), sub: 'alice', session: 'login-1' }[kind]
    expect(await revoke({ [kind]: value })).toBe(204)
    await gateway.stopServices()
    await gateway.start()
    expect(await send(token)).toEqual(REVOKED)
  })

  it('closes a stream at another process of the same machine', async () => {
    const first = await gateway.start()
    const stream = await (await gateway.connect('h2', first)).request('/events', {
      headers: bearer(await gateway.token({ sub: 'alice' })),
    })
    await gateway.start()
    expect(await revoke({ sub: 'alice' })).toBe(204)
    await stream.end()
    expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
  })

  it('says at the start that its folder cannot be written, and what to do', async () => {
    const file = join(gateway.stateFolder, 'a-file')
    await writeFile(file, '')
    await expect(gateway.start({ STORE_FOLDER: join(file, 'store') })).rejects.toThrow(
      /^Revocations cannot be stored: .*a-file.* Mount a writable STATE_FOLDER or STORE_FOLDER, or set REDIS_URL\.$/,
    )
  })
})

describe('a revocation outlives', () => {
  const SHORT = { MAX_TOKEN_LIFETIME_SECONDS: '60' }

  /** Lets gateways forget what they may, and tells them so by another revocation; also after a restart. */
  async function later(milliseconds: number, env: Readonly<Record<string, string>>) {
    gateway.clock.advance(milliseconds)
    expect(await revoke({ jti: 'another' })).toBe(204)
    await gateway.stopServices()
    await gateway.start(env)
  }

  it.each(['itself', 'its jti', 'its subject'])('a token without exp that %s revoked', async (by) => {
    const env = { ...SHORT, EXPIRY: 'optional' }
    await gateway.start(env)
    const iat = Math.floor(gateway.clock.now() / 1_000)
    const token = gateway.bareToken({ sub: 'alice', jti: 'forever', iat })
    expect(await send(token)).toEqual([200, undefined])
    expect(
      await (by === 'itself'
        ? revoke({ jti: 'forever' }, token)
        : revoke(by === 'its jti' ? { jti: 'forever' } : { sub: 'alice' })),
    ).toBe(204)
    await later(24 * HOUR_MS, env)
    expect(await send(token)).toEqual(REVOKED)
  })

  it.each([{ jti: 'far' }, { sub: 'alice' }])(
    'a token without iat whose exp is far away: %j',
    async (body) => {
      await gateway.start(SHORT)
      const exp = gateway.clock.now() / 1_000 + 7_200
      const token = gateway.bareToken({ sub: 'alice', jti: 'far', exp })
      expect(await send(token)).toEqual([
        401,
        { error: { code: 'invalid_token', message: 'jwt lifetime too long' } },
      ])
      expect(await revoke(body)).toBe(204)
      await later(7_170_000, SHORT)
      expect(await send(token)).toEqual(REVOKED)
    },
  )
})

it('with ISSUED_AT=required, a token without iat is rejected, and revocations are forgotten in time', async () => {
  const lifetime = { MAX_TOKEN_LIFETIME_SECONDS: '60' }
  await gateway.start({ ...lifetime, ISSUED_AT: 'required' })
  const withoutIat = () => gateway.bareToken({ sub: 'alice', exp: gateway.clock.now() / 1_000 + 30 })
  expect(await send(withoutIat())).toEqual([
    401,
    { error: { code: 'invalid_token', message: 'jwt iat required' } },
  ])
  expect(await revoke({ sub: 'alice' })).toBe(204)
  // Accepted again, they show what is revoked: 70 seconds, the lifetime and the tolerance of two clocks.
  for (const [milliseconds, status] of [
    [69_999, 401],
    [1, 200],
  ] as const) {
    gateway.clock.advance(milliseconds)
    await gateway.stopServices()
    await gateway.start(lifetime)
    expect((await send(withoutIat()))[0]).toBe(status)
  }
})

describeWith('redis-server', 'apt-get install redis-server')('a revocation with Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())
  const start = () => gateway.start({ REDIS_URL: redis.url })
  const readiness = async () => (await gateway.request('/readyz')).status
  const isStored = async () => (await redis.keys()).includes('{hallpass:sse-gateway:revocations}:pinned')

  it('is written back to a Redis that came back empty, and reaches a gateway that restarted meanwhile', async () => {
    await start()
    const token = await gateway.token({ sub: 'erin' }, { lifetimeSeconds: 3_600 })
    expect(await revoke({ sub: 'erin' })).toBe(204)
    await redis.killWithData()
    const restarted = await start()
    for (const [method, path] of [
      ['GET', '/events'],
      ['POST', '/tickets'],
    ] as const) {
      const unknown = await gateway.request(path, { method, headers: bearer(token) })
      expect([unknown.status, unknown.json, unknown.headers['retry-after']]).toEqual([
        503,
        {
          error: {
            code: 'revocations_unknown',
            message: 'Redis is unavailable, so this gateway does not know which tokens are revoked. Retry.',
          },
        },
        '1',
      ])
    }
    await redis.start()
    await gateway.until(async () => (await readiness()) === 200)
    await gateway.until(isStored)
    const connection = await gateway.connect('h2', restarted)
    await gateway.until(async () => {
      const answer = await connection.request('/events', { headers: bearer(token) })
      answer.close()
      return answer.status === 401
    })
  })
})

describe('with several issuers', () => {
  const OTHER = 'https://two.example.com'
  const config = async (administers = 'own') => {
    const jwks = join(gateway.stateFolder, 'sse/jwks.json')
    const file = join(gateway.stateFolder, `issuers-${administers}.yaml`)
    const path = (issuer: string, more = '') =>
      `{ upstream: '${gateway.upstream.url}', scopes: [proxy:stream], issuers: [{ issuer: '${issuer}', audience: https://api.example.com, jwksFile: '${jwks}'${more} }] }`
    await writeFile(
      file,
      `paths: { /events: ${path('https://auth.example.com', `, administers: ${administers}`)}, /two: ${path(OTHER)} }`,
    )
    await gateway.start({ GATEWAY_CONFIG: file })
  }
  const theirs = (claims: object = {}) => gateway.token({ iss: OTHER, sub: 'alice', ...claims })
  const openTheirs = async (token: string) =>
    (await gateway.connect()).request('/two', { headers: bearer(token) })
  const admin = (iss?: string) =>
    gateway.token({ sub: 'operator', scope: 'stream:revoke', ...(iss && { iss }) })

  it('a token of the second path revokes itself', async () => {
    await config()
    const token = await theirs()
    const stream = await openTheirs(token)
    expect(await revoke({ jti: jtiOf(token) }, token)).toBe(204)
    await stream.end()
    expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
  })

  it('an administrator revokes only subjects of the own issuer, and sees only their streams', async () => {
    await config()
    const ours = await gateway.open(await gateway.token({ sub: 'alice' }))
    const stream = await openTheirs(await theirs())
    const list = async (iss?: string) => {
      const { json } = await gateway.request('/streams', { headers: bearer(await admin(iss)) })
      const { count, open } = json as { count: number; open: { issuer: string }[] }
      return [count, open.map(({ issuer }) => issuer)]
    }
    expect(await list()).toEqual([1, ['https://auth.example.com']])
    expect(await list(OTHER)).toEqual([1, [OTHER]])
    expect(await revoke({ sub: 'alice' }, await admin(OTHER))).toBe(204)
    await stream.end()
    expect([stream.seen, ours.ended]).toEqual([['end:{"reason":"token_revoked"}'], 'no'])
    const answer = await gateway.request('/revocations', {
      method: 'POST',
      headers: bearer(await admin(OTHER)),
      body: '{"sub":"alice","issuer":"https://auth.example.com"}',
    })
    expect([answer.status, answer.json]).toEqual([
      403,
      {
        error: {
          code: 'foreign_issuer',
          message: 'An administrator of https://two.example.com can revoke only tokens of that issuer.',
        },
      },
    ])
    expect(ours.ended).toBe('no')
  })

  it('an administrator of an issuer that administers all revokes and sees everything', async () => {
    await config('all')
    const stream = await openTheirs(await theirs())
    const { json } = await gateway.request('/streams', { headers: bearer(await admin()) })
    expect(json).toMatchObject({ count: 1, open: [{ issuer: OTHER }] })
    expect(await revoke({ sub: 'alice' })).toBe(204)
    await stream.end()
    expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
  })
})
