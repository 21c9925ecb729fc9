import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TestAuthorizationServer } from '@hallpass/callers/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Answer } from '../testing/stream-client.ts'

const gateway = useGateway()
const server = new TestAuthorizationServer()
beforeAll(() => server.start())
afterAll(() => server.remove())
beforeEach(() => server.reset())

const now = () => gateway.clock.now() / 1000
/** What the server answers about a token that opens a stream. */
const valid = (members: object = {}) => ({
  iss: server.issuer,
  aud: 'https://api.example.com',
  sub: 'ada',
  token_type: 'Bearer',
  scope: 'proxy:stream',
  iat: now(),
  exp: now() + 600,
  ...members,
})
const environment = () => ({
  ISSUER: server.issuer,
  INTROSPECTION_URL: server.url,
  INTROSPECTION_CLIENT_ID: server.clientId,
  INTROSPECTION_CLIENT_SECRET_FILE: server.secretFile,
})
const start = (env: Readonly<Record<string, string>> = {}) => gateway.start({ ...environment(), ...env })
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function send(token: string, protocol: 'h2' | 'http/1.1' = 'h2') {
  const answer = await gateway.request('/events', { headers: bearer(token) }, protocol)
  answer.close()
  return [answer.status, answer.status === 200 ? undefined : (answer.json.error as object)]
}

const rejected = (message: string) => [401, { code: 'invalid_token', message }]

describe('an opaque token', () => {
  it.each(['h2', 'http/1.1'] as const)('opens a stream that closes at its exp, over %s', async (protocol) => {
    await start()
    server.tokens.set('opaque', valid({ exp: now() + 30 }))
    const stream = await gateway.open('opaque', protocol)
    expect(Buffer.from(server.authorization?.replace('Basic ', '') ?? '', 'base64').toString()).toBe(
      'gateway:the+secret+of+the+gateway',
    )
    gateway.upstream.send('data:hello\n\n')
    gateway.clock.advance(20_000)
    await stream.event('challenge')
    gateway.clock.advance(9_999)
    await stream.until(({ events }) => events.length === 2)
    gateway.clock.advance(1)
    await stream.end()
    expect([stream.ended, stream.seen.at(-1)]).toEqual(['cleanly', 'end:{"reason":"token_expired"}'])
  })

  it('answers a challenge', async () => {
    await start()
    server.tokens.set('first', valid({ exp: now() + 20 }))
    const connection = await gateway.connect()
    const stream = await connection.request('/events', { headers: bearer('first') })
    gateway.clock.advance(10_000)
    await stream.event('challenge')
    const answer = (token: string) =>
      connection.request('/events', {
        method: 'POST',
        headers: { ...bearer(token), 'content-type': 'application/x-challenge-response' },
      })
    server.tokens.set('of another', valid({ sub: 'eve' }))
    server.tokens.set('second', valid())
    expect([(await answer('second')).status, (await answer('unknown')).status]).toEqual([204, 401])
    gateway.clock.advance(11_000)
    gateway.upstream.send('data:still open\n\n')
    await stream.until(({ seen }) => seen.at(-1) === 'still open')
  })

  it.each<[string, object | undefined, string]>([
    ['is not active', undefined, 'the issuer says that the token is not active'],
    ['is of another issuer', { iss: 'https://mallory.example' }, 'token issuer invalid. expected: ISSUER'],
    [
      'is for another service',
      { aud: ['https://x'] },
      'token audience invalid. expected: https://api.example.com',
    ],
    ['has no audience', { aud: undefined }, 'token audience invalid. expected: https://api.example.com'],
    ['has no exp', { exp: undefined }, 'token exp required'],
    ['has an exp in milliseconds', { exp: 1_900_000_000_000 }, 'token exp invalid'],
    ['is valid for too long', { iat: undefined, exp: 1_800_000_000 }, 'token lifetime too long'],
    ['has expired, without a tolerance', { exp: 1_767_225_600 }, 'token expired'],
    ['is a refresh token', { token_type: undefined }, 'token is not a bearer access token'],
    ['is an ID token', { at_hash: 'x' }, 'token is not a bearer access token'],
    ['is bound to a key', { cnf: { jkt: 'x' } }, 'token is not a bearer token'],
    ['is of another type', { token_type: 'DPoP' }, 'token is not a bearer token'],
  ])('is rejected if it %s', async (_what, members, message) => {
    await start()
    if (members) server.tokens.set('opaque', valid(members))
    expect(await send('opaque')).toEqual(rejected(message.replace('ISSUER', server.issuer)))
  })

  it('follows the rules of the path: EXPIRY, SUBJECT, ISSUED_AT, ROLES_CLAIM', async () => {
    server.tokens.set('no-exp', valid({ exp: undefined, iss: undefined, token_type: 'bearer' }))
    server.tokens.set('no-sub', valid({ sub: undefined }))
    server.tokens.set('no-iat', valid({ iat: undefined }))
    server.tokens.set('no-scope', valid({ scope: 'other', roles: ['proxy:stream'] }))
    await start({ EXPIRY: 'optional' })
    expect(
      [await send('no-exp'), await send('no-sub'), await send('no-iat')].map(([status]) => status),
    ).toEqual([200, 200, 200])
    expect(await send('no-scope')).toEqual([
      403,
      { code: 'insufficient_scope', message: 'The token needs the scope proxy:stream.' },
    ])
    await start({ SUBJECT: 'required', ISSUED_AT: 'required', ROLES_CLAIM: 'roles' })
    expect(await send('no-sub')).toEqual(rejected('token sub required'))
    expect(await send('no-iat')).toEqual(rejected('jwt iat required'))
    expect((await send('no-scope'))[0]).toBe(200)
  })

  it('is asked about once for all streams of ten seconds', async () => {
    await start()
    server.tokens.set('opaque', valid())
    for (let count = 0; count < 3; count += 1) expect((await send('opaque'))[0]).toBe(200)
    expect(server.asked).toEqual(['opaque'])
    gateway.clock.advance(10_000)
    expect((await send('opaque'))[0]).toBe(200)
    expect(server.asked).toHaveLength(2)
  })

  it('is revoked by its jti, its hash or its subject, also by itself', async () => {
    await start()
    const admin = valid({ sub: 'operator', scope: 'stream:revoke', jti: 'a' })
    server.tokens.set('admin', admin)
    const revoke = async (token: string, body: object) =>
      (
        await gateway.request('/revocations', {
          method: 'POST',
          headers: bearer(token),
          body: JSON.stringify(body),
        })
      ).status
    const hash = `sha256:${createHash('sha256').update('by-hash').digest('base64url')}`
    for (const [token, members, by, body] of [
      ['with-jti', { jti: 'one' }, 'admin', { jti: 'one' }],
      ['of-subject', { sub: 'bob' }, 'admin', { sub: 'bob' }],
      ['itself', { jti: 'two', scope: 'proxy:stream' }, 'itself', { jti: 'two' }],
      ['by-hash', {}, 'by-hash', { jti: hash }],
    ] as const) {
      server.tokens.set(token, valid(members))
      const stream = await gateway.open(token)
      expect([token, await revoke(by, body)]).toEqual([token, 204])
      await stream.end()
      expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
      expect(await send(token)).toEqual(rejected('token revoked'))
    }
  })

  it('is named by the resource metadata like any other', async () => {
    await start()
    const { json } = await gateway.request('/.well-known/oauth-protected-resource/events')
    expect(json.authorization_servers).toEqual([server.issuer])
  })
})

describe('an authorization server that is unavailable', () => {
  const away = [
    503,
    {
      code: 'introspection_unavailable',
      message: 'The token cannot be checked: the introspection endpoint is not available. Retry later.',
    },
  ]

  it('opens no new streams, with Retry-After, and keeps those that are open until their exp', async () => {
    await start()
    server.tokens.set('opaque', valid({ exp: now() + 120 }))
    const stream = await gateway.open('opaque')
    await server.stop()
    try {
      expect(await send('another')).toEqual(away)
      const { headers } = await gateway.request('/events', { headers: bearer('another') })
      expect([headers['retry-after'], headers['www-authenticate']]).toEqual(['1', undefined])
      for (let seconds = 0; seconds < 105; seconds += 15) {
        gateway.clock.advance(15_000)
        gateway.upstream.send(`data:${seconds}\n\n`)
        await stream.until(({ seen }) => seen.includes(`${seconds}`))
      }
      gateway.clock.advance(15_000)
      await stream.end()
      expect(stream.seen.at(-1)).toBe('end:{"reason":"token_expired"}')
    } finally {
      await server.start()
    }
    server.tokens.set('another', valid())
    expect((await send('another'))[0]).toBe(200)
  })

  it('rejects the credentials of the gateway: 502, and the token is not blamed', async () => {
    await start()
    server.instead = (response) => response.writeHead(401).end()
    const [status, error] = await send('opaque')
    expect([status, error]).toEqual([
      502,
      { code: 'peer_unexpected_answer', message: expect.stringContaining("this service's own credentials") },
    ])
  })
})

describe('a token that the issuer revokes', () => {
  const askedAbout = (token: string) => server.asked.filter((asked) => asked === token).length

  it('ends its streams within 30 seconds, and opens none', async () => {
    await start()
    server.tokens.set('revoked', valid())
    server.tokens.set('good', valid())
    const streams = await Promise.all(['revoked', 'revoked', 'good'].map((token) => gateway.open(token)))
    server.tokens.delete('revoked')
    const [one, two, good] = streams as [Answer, Answer, Answer]
    // It is known to be due when the wheel has turned once.
    gateway.clock.advance(1_000)
    await gateway.until(() => {
      gateway.clock.advance(1_000)
      return one.ended !== 'no' && two.ended !== 'no' && askedAbout('good') > 1
    })
    expect([one.seen, two.seen, good.ended]).toEqual([
      ['end:{"reason":"token_revoked"}'],
      ['end:{"reason":"token_revoked"}'],
      'no',
    ])
    expect(await send('revoked')).toEqual(rejected('the issuer says that the token is not active'))
  })

  it('is noticed only if the issuer rejects it: other failures keep the stream', async () => {
    await start({ INTROSPECTION_RECHECK_SECONDS: '2' })
    server.tokens.set('opaque', valid())
    const stream = await gateway.open('opaque')
    const confirmed = async (times: number) => {
      const before = askedAbout('opaque')
      await gateway.until(() => {
        gateway.clock.advance(500)
        return askedAbout('opaque') >= before + times
      })
    }
    for (const status of [500, 429, 401, 302]) {
      server.instead = (response) => response.writeHead(status).end()
      await confirmed(2)
    }
    server.instead = undefined
    expect(stream.ended).toBe('no')
    server.tokens.set('opaque', valid({ scope: 'other' }))
    await gateway.until(() => {
      gateway.clock.advance(500)
      return stream.ended !== 'no'
    })
    expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
  })

  it('is asked about once per interval, however many streams it has, and no more when they are closed', async () => {
    await start()
    server.tokens.set('opaque', valid({ exp: now() + 3_000 }))
    const connection = await gateway.connect()
    const streams = await Promise.all(
      Array.from({ length: 20 }, () => connection.request('/events', { headers: bearer('opaque') })),
    )
    for (let round = 0; round < 60; round += 1) {
      gateway.clock.advance(5_000)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    // 300 seconds, and one call in 15 to 30 of them, looked for every five.
    expect(askedAbout('opaque')).toBeGreaterThan(9)
    expect(askedAbout('opaque')).toBeLessThan(23)
    for (const stream of streams) stream.close()
    await gateway.until(
      async () => (await gateway.request('/metrics')).text.includes('sse_streams{') === false,
    )
    const before = askedAbout('opaque')
    gateway.clock.advance(60_000)
    await gateway.until(async () => {
      gateway.clock.advance(60_000)
      return (await gateway.request('/healthz')).status === 200
    })
    expect(askedAbout('opaque')).toBe(before)
  })
})

describe('the configuration', () => {
  async function file(issuers: readonly object[][]) {
    const name = join(gateway.stateFolder, 'introspection.yaml')
    const paths = Object.fromEntries(
      issuers.map((list, index) => [
        `/events${index || ''}`,
        { upstream: gateway.upstream.url, scopes: ['proxy:stream'], issuers: list },
      ]),
    )
    await writeFile(name, JSON.stringify({ paths }))
    return { GATEWAY_CONFIG: name }
  }
  const rule = (more: object = {}) => ({
    issuer: server.issuer,
    audience: 'https://api.example.com',
    introspection: {
      url: server.url,
      clientId: server.clientId,
      clientSecretFile: server.secretFile,
      ...more,
    },
  })
  const jwts = () => ({
    issuer: 'https://auth.example.com',
    audience: 'https://api.example.com',
    jwksFile: join(gateway.stateFolder, 'sse/jwks.json'),
  })

  it('takes JWTs of one issuer and opaque tokens of another on one path', async () => {
    await gateway.start(await file([[jwts(), rule()]]))
    server.tokens.set('opaque', valid())
    expect([(await send('opaque'))[0], (await send(await gateway.token()))[0]]).toEqual([200, 200])
    expect(server.asked).toEqual(['opaque'])
    expect(await send('unknown')).toEqual(rejected('the issuer says that the token is not active'))
  })

  it('never sends a token to an issuer that did not issue it', async () => {
    const problem =
      'GATEWAY_CONFIG can have introspection for only one issuer, with the same settings at each path: an opaque token does not name its issuer, and would be sent to others, too'
    const other = { ...rule(), issuer: 'https://other.example' }
    await expect(gateway.start(await file([[rule()], [other]]))).rejects.toThrow(problem)
    await gateway.start(await file([[rule()], [rule()]]))
    server.tokens.set('opaque', valid())
    for (const path of ['/events', '/events1']) {
      const answer = await gateway.request(path, { headers: bearer('opaque') })
      expect(answer.status).toBe(200)
      answer.close()
    }
    expect(server.asked).toEqual(['opaque'])
  })

  it.each<[object, string]>([
    [
      { clientSecretFile: undefined },
      'Set GATEWAY_CONFIG paths./events.issuers.0.introspection.clientSecretFile, CALLER_KEY_FILE or CALLER_TOKEN_FILE: exactly one credential of this service for introspection',
    ],
    [
      { clientSecretFile: 'nowhere' },
      'GATEWAY_CONFIG paths./events.issuers.0.introspection.clientSecretFile FOLDER/nowhere does not exist. Write the client secret that the issuer has issued to it.',
    ],
    [
      { url: 'http://login.example/introspect' },
      'GATEWAY_CONFIG paths./events.issuers.0.introspection.url is not encrypted, so anyone on the network can read the tokens and the credentials of this service that are sent to it: use an https URL',
    ],
  ])('refuses a file with %j', async (more, problem) => {
    await expect(gateway.start(await file([[rule(more)]]))).rejects.toThrow(
      problem.replace('FOLDER', gateway.stateFolder),
    )
  })

  it.each<[Record<string, string>, string]>([
    [
      { JWKS_URL: 'https://login.example/keys' },
      'INTROSPECTION_URL replaces JWKS_URL and JWKS_FILE: set one of them',
    ],
    [{ INTROSPECTION_URL: '' }, 'INTROSPECTION_CLIENT_ID needs INTROSPECTION_URL'],
    [{ INTROSPECTION_CLIENT_ID: '' }, 'INTROSPECTION_CLIENT_ID is required'],
    [
      { INTROSPECTION_RECHECK_SECONDS: '0' },
      'INTROSPECTION_RECHECK_SECONDS must be an integer from 1 to 86400, but is "0"',
    ],
    [
      { INTROSPECTION_CACHE_SECONDS: '301' },
      'INTROSPECTION_CACHE_SECONDS must be an integer from 0 to 300, but is "301"',
    ],
  ])('refuses %j', async (env, problem) => {
    await expect(start(env)).rejects.toThrow(problem)
  })
})
