import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { exportPrivatePem, generateSigningKey, publicJwks, signToken, verifyToken } from '@hallpass/tokens'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

const AUDIENCE = 'https://webui'
const clock = new ManualClock('2026-11-22T12:00:00Z')
const now = () => clock.now() / 1000

/** An issuer with an introspection endpoint, whose answer the test sets. */
const provider = {
  asked: [] as { readonly form: URLSearchParams; readonly authorization: string | undefined }[],
  status: 200,
  answer: {} as unknown,
  hold: undefined as Promise<void> | undefined,
  path: '/introspect',
  headers: {} as Record<string, string>,
  discovered: 0,
}
let server: Server
let issuer: string
let folder: string
let secretFile: string

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of incoming) text += chunk
  return text
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'introspection-'))
  secretFile = join(folder, 'secret')
  writeFileSync(secretFile, 's3cret/+\n', { mode: 0o600 })
  server = createServer(async (incoming, response) => {
    if (incoming.url === '/.well-known/openid-configuration') {
      provider.discovered += 1
      response.end(JSON.stringify({ issuer, introspection_endpoint: issuer + provider.path }))
      return
    }
    if (incoming.url === '/moved') {
      response.writeHead(404).end()
      return
    }
    const { authorization } = incoming.headers
    provider.asked.push({ form: new URLSearchParams(await bodyOf(incoming)), authorization })
    await provider.hold
    const { answer } = provider
    response.writeHead(provider.status, { location: '/elsewhere', ...provider.headers })
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://localhost:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  Object.assign(provider, { asked: [], status: 200, answer: valid(), hold: undefined })
  Object.assign(provider, { path: '/introspect', headers: {}, discovered: 0 })
})

const valid = (members: object = {}) => ({
  active: true,
  iss: issuer,
  aud: AUDIENCE,
  sub: 'ada',
  client_id: 'web-ui',
  token_type: 'Bearer',
  scope: 'openid read:data',
  iat: now(),
  exp: now() + 120,
  ...members,
})

const environment = (more: Record<string, string> = {}) => ({
  PORT: '0',
  ISSUER: issuer,
  AUDIENCE,
  TOKEN_VALIDATION: 'introspection',
  INTROSPECTION_CLIENT_ID: 'back end',
  INTROSPECTION_CLIENT_SECRET_FILE: secretFile,
  ...more,
})

/** Starts a backend and returns how to send it a token. */
function backend(more: Record<string, string> = {}) {
  const { app } = createApp(loadConfig(environment(more)), silentLog, clock.now)
  return async (token = 'opaque') => {
    const answer = await request(app).get('/data').set('authorization', `Bearer ${token}`)
    return { status: answer.status, error: answer.body.error, headers: answer.headers }
  }
}

describe('opaque tokens', () => {
  it('are accepted if their issuer says that they are valid, with the credentials of this service', async () => {
    const send = backend()
    expect((await send()).status).toBe(200)
    const [asked] = provider.asked
    expect(Object.fromEntries(asked?.form ?? [])).toEqual({
      token: 'opaque',
      token_type_hint: 'access_token',
    })
    const [, credentials = ''] = /^Basic (.+)$/.exec(asked?.authorization ?? '') ?? []
    expect(Buffer.from(credentials, 'base64').toString()).toBe('back+end:s3cret%2F%2B')
  })

  it('need the scope that this instance requires', async () => {
    expect((await backend({ REQUIRED_SCOPES: 'read:data' })()).status).toBe(200)
    expect(await backend({ REQUIRED_SCOPES: 'write:data' })()).toMatchObject({
      status: 403,
      error: { code: 'insufficient_scope' },
    })
  })

  it.each<[string, object, string]>([
    ['is not active', { active: false }, 'the issuer says that the token is not active'],
    ['is of another issuer', { iss: 'https://mallory.example' }, 'token issuer invalid. expected: ISSUER'],
    ['is for another service', { aud: 'https://elsewhere' }, `token audience invalid. expected: ${AUDIENCE}`],
    ['has no audience', { aud: undefined }, `token audience invalid. expected: ${AUDIENCE}`],
    ['has two audiences', { aud: [AUDIENCE, 'x'] }, `token audience invalid. expected only: ${AUDIENCE}`],
    ['has expired', { exp: -6 }, 'token expired'],
    ['has an end that is no number', { exp: 'never' }, 'token exp invalid'],
    ['has an end in milliseconds', { exp: 1_900_000_000_000 }, 'token exp invalid'],
    ['has a negative end', { exp: -1e12 }, 'token exp invalid'],
    ['is not active yet', { nbf: 6 }, 'token not active yet'],
    ['was issued in the future', { iat: 6 }, 'token issued in the future'],
    ['is a refresh token', { token_type: undefined }, 'token is not a bearer access token'],
    ['is bound to a key', { token_type: 'DPoP' }, 'token is not a bearer token'],
    ['has a type that is no string', { token_type: ['Bearer'] }, 'token is not a bearer token'],
    ['is bound to a DPoP key', { cnf: { jkt: 'x' } }, 'token is not a bearer token'],
    ['is bound to a certificate', { cnf: { 'x5t#S256': 'x' } }, 'token is not a bearer token'],
    ['is bound to an empty key', { cnf: {} }, 'token is not a bearer token'],
    ['is a refresh token of Keycloak', { typ: 'Refresh' }, 'token is not a bearer access token'],
    ['is an ID token', { at_hash: 'h' }, 'token is not a bearer access token'],
  ])('are rejected if the token %s', async (_what, members, message) => {
    const times = Object.entries(members).map(([name, value]) => [
      name,
      typeof value === 'number' ? now() + value : value,
    ])
    provider.answer = valid(Object.fromEntries(times))
    const expected = message.replace('ISSUER', issuer)
    const answer = await backend()()
    expect([answer.status, answer.error]).toEqual([401, { name: 'IntrospectionRefusal', message: expected }])
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer realm="backend-api", error="invalid_token", error_description="${expected}"`,
    )
  })

  it('are accepted from an issuer whose clock is 3 s ahead', async () => {
    provider.answer = valid({ iat: now() + 3, nbf: now() + 3 })
    expect((await backend()()).status).toBe(200)
  })

  it('may lack an audience, or a type, if the configuration says so', async () => {
    provider.answer = valid({ aud: undefined, token_type: undefined, typ: 'Bearer' })
    const env = { INTROSPECTION_AUDIENCE: 'optional', REQUIRED_SCOPES: 'read:data' }
    expect((await backend({ ...env, TOKEN_USE: 'typ=Bearer' })()).status).toBe(200)
    expect((await backend(env)()).status).toBe(401)
    expect((await backend({ ...env, TOKEN_USE: 'any' })()).status).toBe(200)
    provider.answer = valid({ aud: undefined, token_type: undefined, typ: 'Bearer', cnf: { jkt: 'x' } })
    for (const TOKEN_USE of ['typ=Bearer', 'any'])
      expect(await backend({ ...env, TOKEN_USE })()).toMatchObject({
        status: 401,
        error: { message: 'token is not a bearer token' },
      })
  })

  it('are asked about once in ten seconds, and never accepted after their end', async () => {
    const send = backend()
    for (let count = 0; count < 3; count += 1) expect((await send()).status).toBe(200)
    expect(provider.asked).toHaveLength(1)
    provider.answer = { active: false }
    clock.advance(9_999)
    expect((await send()).status).toBe(200)
    clock.advance(1)
    expect((await send()).status).toBe(401)
    provider.answer = valid({ exp: now() + 4 })
    expect((await send('other')).status).toBe(200)
    provider.answer = { active: false }
    clock.advance(4_000)
    expect((await send('other')).status).toBe(401)
  })

  it('are asked about each time with INTROSPECTION_CACHE_SECONDS=0', async () => {
    const send = backend({ INTROSPECTION_CACHE_SECONDS: '0' })
    for (let count = 0; count < 3; count += 1) expect((await send()).status).toBe(200)
    expect(provider.asked).toHaveLength(3)
  })

  it('cause one call for any number of requests at once, and one per second if they are bad', async () => {
    const send = backend()
    let release = () => {}
    provider.hold = new Promise((resolve) => {
      release = resolve
    })
    const all = Array.from({ length: 20 }, () => send())
    setTimeout(() => release(), 100)
    expect(new Set((await Promise.all(all)).map(({ status }) => status))).toEqual(new Set([200]))
    expect(provider.asked).toHaveLength(1)
    provider.answer = { active: false }
    for (let count = 0; count < 5; count += 1) expect((await send('bad')).status).toBe(401)
    expect(provider.asked).toHaveLength(2)
    clock.advance(1_000)
    provider.answer = valid()
    expect((await send('bad')).status).toBe(200)
  })

  it('are not sent anywhere if they are too long', async () => {
    expect(await backend()('x'.repeat(8 * 1024 + 1))).toMatchObject({
      status: 401,
      error: { message: 'token longer than 8192 characters' },
    })
    expect(provider.asked).toHaveLength(0)
  })

  it.each<[string, number, unknown, number, string, RegExp]>([
    ['fails', 500, {}, 503, 'introspection_unavailable', /^The token cannot be checked: .* Retry later\.$/],
    ['is busy', 429, {}, 503, 'introspection_unavailable', /Retry later/],
    [
      'rejects our credentials',
      401,
      {},
      502,
      'peer_unexpected_answer',
      /rejects this service's own credentials/,
    ],
    ['redirects', 302, {}, 502, 'peer_unexpected_answer', /answered 302/],
    ['sends no JSON', 200, '<html>', 502, 'peer_unexpected_answer', /it is not JSON$/],
    ['sends a list', 200, [], 502, 'peer_unexpected_answer', /it is not a JSON object$/],
    ['sends active as a string', 200, { active: 'true' }, 502, 'peer_unexpected_answer', /no member active/],
    [
      'sends active twice',
      200,
      '{"active":false,"active":true}',
      502,
      'peer_unexpected_answer',
      /it is not JSON$/,
    ],
  ])(
    'are neither accepted nor blamed if the endpoint %s',
    async (_what, status, body, expected, code, message) => {
      Object.assign(provider, { status, answer: body })
      const send = backend()
      const answer = await send()
      expect([answer.status, answer.error.code]).toEqual([expected, code])
      expect(answer.error.message).toMatch(message)
      expect(answer.headers['www-authenticate']).toBeUndefined()
      if (expected === 503) expect(answer.headers['retry-after']).toBe('1')
      Object.assign(provider, { status: 200, answer: valid() })
      expect((await send()).status).toBe(200)
    },
  )

  it('are neither accepted nor blamed if the endpoint is away', async () => {
    for (const env of [
      { INTROSPECTION_URL: 'http://localhost:1/introspect' },
      { ISSUER: 'http://localhost:1' },
    ]) {
      const answer = await backend(env)()
      expect([answer.status, answer.error.code]).toEqual([503, 'introspection_unavailable'])
    }
  })

  it('may be answered about after 2 s, and not after 2.5 s', async () => {
    for (const [ms, expected] of [
      [2_000, 200],
      [2_700, 503],
    ] as const) {
      provider.hold = new Promise((resolve) => setTimeout(resolve, ms))
      expect((await backend()()).status).toBe(expected)
    }
  })

  it.each([
    ['7', '7'],
    ['60', '60'],
    ['3600', '60'],
    ['0', '1'],
    ['Mon, 23 Nov 2026 12:00:00 GMT', '1'],
  ])('are to be sent again when the endpoint says: %s', async (value, expected) => {
    const send = backend()
    for (const status of [429, 503]) {
      Object.assign(provider, { status, answer: {}, headers: { 'retry-after': value } })
      const answer = await send(`opaque-${status}`)
      expect([answer.status, answer.headers['retry-after']]).toEqual([503, expected])
    }
  })

  it('are asked about at the new endpoint if the issuer has moved it, looked up at most once in 10 s', async () => {
    provider.path = '/moved'
    const send = backend()
    expect((await send()).error.message).toMatch(/answered 404/)
    expect((await send()).status).toBe(502)
    expect(provider.discovered).toBe(1)
    provider.path = '/introspect'
    clock.advance(10_000)
    expect((await send()).status).toBe(502)
    expect((await send()).status).toBe(200)
    expect(provider.discovered).toBe(2)
  })

  it('are not asked about with an empty secret, and a secret that was emptied is used further', async () => {
    const file = join(folder, 'emptied')
    writeFileSync(file, 'one', { mode: 0o600 })
    const early = backend({ INTROSPECTION_CLIENT_SECRET_FILE: file })
    expect((await early()).status).toBe(200)
    const late = backend({ INTROSPECTION_CLIENT_SECRET_FILE: file })
    writeFileSync(file, '\n')
    clock.advance(11_000)
    expect((await early('other')).status).toBe(200)
    expect(await late()).toMatchObject({ status: 503, error: { code: 'introspection_unavailable' } })
    expect(provider.asked).toHaveLength(2)
    expect(() => backend({ INTROSPECTION_CLIENT_SECRET_FILE: file })).toThrow(
      `INTROSPECTION_CLIENT_SECRET_FILE ${file} is empty. Write the client secret that the issuer has issued to it.`,
    )
  })

  it('are asked about with an assertion of this service’s own key', async () => {
    const key = await generateSigningKey('ES256', 'own')
    const file = join(folder, 'own.pem')
    writeFileSync(file, exportPrivatePem(key), { mode: 0o600 })
    expect((await backend({ INTROSPECTION_CLIENT_SECRET_FILE: '', CALLER_KEY_FILE: file })()).status).toBe(
      200,
    )
    const [{ form, authorization } = { form: new URLSearchParams(), authorization: '' }] = provider.asked
    expect(authorization).toBeUndefined()
    expect(form.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    const { claims } = await verifyToken(form.get('client_assertion') ?? '', {
      issuer: 'back end',
      audience: issuer,
      subject: 'back end',
      keys: () => key,
      typ: ['client-authentication+jwt'],
      maxLifetimeSeconds: 60,
      clock: clock.now,
    })
    expect(claims.sub).toBe('back end')
  })
})

describe('TOKEN_VALIDATION=auto', () => {
  it('asks only about tokens that are not JWTs', async () => {
    /** With credentials; the others load the keys, again at a signature that the known key did not make. */
    const introspected = () => provider.asked.filter(({ authorization }) => authorization !== undefined)
    const key = await generateSigningKey('ES256')
    const jwt = await signToken({ iss: issuer, sub: 'ada', aud: AUDIENCE }, key, {
      lifetimeSeconds: 60,
      typ: 'at+jwt',
      clock: clock.now,
    })
    const send = backend({ TOKEN_VALIDATION: 'auto', JWKS_URL: `${issuer}/jwks` })
    provider.answer = publicJwks([key])
    expect((await send(jwt)).status).toBe(200)
    expect(introspected()).toEqual([])
    provider.answer = valid()
    for (const token of ['opaque', 'ya29.a-b.c']) expect((await send(token)).status).toBe(200)
    expect(introspected()).toHaveLength(2)
    expect((await send(`${jwt.slice(0, -4)}AAAA`)).status).toBe(401)
    for (const padding of ['=', '==']) expect((await send(jwt + padding)).status).toBe(401)
    expect(introspected()).toHaveLength(2)
  })
})

describe('the configuration of introspection', () => {
  it.each<[Record<string, string>, string | RegExp]>([
    [{ TOKEN_VALIDATION: 'jwt' }, /INTROSPECTION_CLIENT_ID needs TOKEN_VALIDATION=introspection or auto/],
    [
      { TOKEN_VALIDATION: 'jwt', INTROSPECTION_AUDIENCE: 'required' },
      /INTROSPECTION_AUDIENCE needs TOKEN_VALIDATION=introspection or auto/,
    ],
    [
      { TOKEN_VALIDATION: 'jwt', INTROSPECTION_CACHE_SECONDS: '0' },
      /INTROSPECTION_CACHE_SECONDS needs TOKEN_VALIDATION=introspection or auto/,
    ],
    [
      { ISSUER: 'my-issuer' },
      /ISSUER must be an http or https URL .* because the keys are discovered at it, unless JWKS_URL is set/,
    ],
    [{ INTROSPECTION_CLIENT_ID: '' }, 'INTROSPECTION_CLIENT_ID is required'],
    [{ INTROSPECTION_CLIENT_SECRET_FILE: '' }, /exactly one credential of this service for introspection/],
    [
      { INTROSPECTION_CLIENT_SECRET_FILE: '/nowhere' },
      'INTROSPECTION_CLIENT_SECRET_FILE /nowhere does not exist. Write the client secret',
    ],
    [
      { INTROSPECTION_CLIENT_SECRET_FILE: '/etc/hostname' },
      /INTROSPECTION_CLIENT_SECRET_FILE \/etc\/hostname/,
    ],
    [{ CALLER_TOKEN_FILE: 'token' }, /exactly one credential of this service for introspection/],
    [{ INTROSPECTION_AUDIENCE: 'optional' }, /INTROSPECTION_AUDIENCE=optional needs REQUIRED_SCOPES/],
    [
      { INTROSPECTION_URL: 'http://login.example/introspect' },
      'INTROSPECTION_URL is not encrypted, so anyone on the network can read the tokens and the credentials of this service that are sent to it: use an https URL, or set MESH',
    ],
    [{ INTROSPECTION_CACHE_SECONDS: '301' }, /INTROSPECTION_CACHE_SECONDS must be an integer from 0 to 300/],
  ])('refuses %j', (more, problem) => {
    expect(() => loadConfig(environment(more))).toThrow(problem)
  })
})
