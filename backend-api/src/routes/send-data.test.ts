import { generateKeyPairSync } from 'node:crypto'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLog, silentLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import {
  generateSigningKey,
  publicJwks,
  SIGNATURE_ALGORITHMS,
  type SigningKey,
  signToken,
} from '@hallpass/tokens'
import { presentClaims, testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'

const clock = new ManualClock('2026-11-22T12:00:00Z')
const AUDIENCE = 'https://webui'
const CLIENT_ID = 'web-ui'

const WEAK_RSA = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
/** What providers publish beside the keys that this service can use. */
const UNUSABLE = [
  { kty: 'OKP', crv: 'Ed448', alg: 'EdDSA', kid: 'ed448', x: 'AAAA' },
  { ...WEAK_RSA, kid: 'weak' },
  { kty: 'AKP', alg: 'ML-DSA-65', kid: 'later', pub: 'AAAA' },
]

let key: SigningKey
let issuer: string
let provider: Server

beforeAll(async () => {
  key = await generateSigningKey('ES256')
  const app = express()
  app.get('/.well-known/openid-configuration', (_request, response) => {
    response.json({ issuer, jwks_uri: `${issuer}/jwks` })
  })
  app.get('/jwks', (_request, response) => {
    response.json(publicJwks([key]))
  })
  app.get('/jwks-with-others', (_request, response) => {
    response.json({ keys: [...UNUSABLE, ...publicJwks([key]).keys] })
  })
  app.get('/jwks-of-all-algorithms', (_request, response) => {
    response.json(publicJwks(SIGNATURE_ALGORITHMS.map((alg) => testKey(alg, alg))))
  })
  app.get('/unusable-jwks', (_request, response) => {
    response.json({ keys: [{ ...publicJwks([key]).keys[0], kid: '' }] })
  })
  provider = await new Promise<Server>((resolve) => {
    const server = app.listen(0, '127.0.0.1', () => resolve(server))
  })
  issuer = `http://localhost:${(provider.address() as AddressInfo).port}`
})

afterAll(() => new Promise((resolve) => provider.close(resolve)))

const backend = (env: Record<string, string> = {}) =>
  createApp(loadConfig({ PORT: '0', ISSUER: issuer, AUDIENCE, ...env }), silentLog, clock.now).app

const accessToken = (claims: Record<string, unknown> = {}, typ = 'at+jwt') =>
  signToken(presentClaims({ iss: issuer, sub: 'ada', aud: AUDIENCE, client_id: CLIENT_ID, ...claims }), key, {
    lifetimeSeconds: 120,
    typ,
    clock: clock.now,
  })

const get = async (token: string | undefined, env: Record<string, string> = {}, path = '/data') => {
  const call = request(backend(env)).get(path)
  return token === undefined ? call : call.set('authorization', `Bearer ${token}`)
}

describe('GET /data', () => {
  it('sends the documented response to a client with an access token', async () => {
    const answer = await get(await accessToken())
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual({ this: 'is', some: 'response', data: 'for you', from: 'the first backend' })
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  it('sends only the second response as the second backend', async () => {
    const env = { ENDPOINT: '/data2' }
    expect((await get(await accessToken(), env, '/data2')).body).toEqual({ dataFrom: 'second service' })
    expect((await get(await accessToken(), env, '/data')).status).toBe(404)
  })

  it('answers without a token when ACCESS is open', async () => {
    const open = createApp(loadConfig({ PORT: '0', ACCESS: 'open' }), silentLog).app
    expect((await request(open).get('/data')).status).toBe(200)
  })

  it('answers 401 with a bare challenge without a token', async () => {
    const answer = await get(undefined)
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="backend-api"')
    expect(answer.body).toEqual({ message: 'no token provided' })
  })

  it('accepts an access token of type JWT, as Auth0 issues them', async () => {
    const token = await accessToken({ aud: [AUDIENCE, `${issuer}/userinfo`], scope: 'openid' }, 'JWT')
    expect((await get(token, { AUDIENCE_LIST: 'contains' })).status).toBe(200)
    expect((await get(token)).body).toMatchObject({
      error: { message: `jwt audience invalid. expected: ${AUDIENCE}` },
    })
  })

  it.each([
    ['an ID token', { aud: CLIENT_ID, nonce: 'n', at_hash: 'h' }, 'JWT', /jwt audience invalid/],
    ['an ID token of a client with the API’s name', { nonce: 'n' }, 'JWT', /^jwt is not an access token$/],
    ['an ID token without a nonce', { at_hash: 'h' }, 'JWT', /^jwt is not an access token$/],
    ['an ID token with a scope', { at_hash: 'h', scope: 'openid' }, 'JWT', /^jwt is not an access token$/],
    ['an ID token of Keycloak', { typ: 'ID', scope: 'openid' }, 'JWT', /^jwt is not an access token$/],
    ['an ID token of Cognito', { token_use: 'id', scope: 'x' }, 'JWT', /^jwt is not an access token$/],
    [
      'a refresh token of Keycloak',
      { typ: 'Refresh', scope: 'openid' },
      'JWT',
      /^jwt is not an access token$/,
    ],
    ['a logout token', { events: {} }, 'JWT', /^jwt is not an access token$/],
    ['a logout token by its type', {}, 'logout+jwt', /typ/],
    ['a token for another API', { aud: 'https://elsewhere' }, 'at+jwt', /jwt audience invalid/],
    ['a token from another issuer', { iss: 'https://mallory.example' }, 'at+jwt', /jwt issuer invalid/],
    ['a token without a subject', { sub: undefined }, 'at+jwt', /jwt sub required/],
  ])('rejects %s', async (_what, claims, typ, message) => {
    const answer = await get(await accessToken(claims, typ))
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="backend-api", error="invalid_token"/)
    expect(answer.body.error.message).toMatch(message)
  })

  it('rejects a token signed with a key that the issuer does not publish', async () => {
    const token = await signToken(
      { iss: issuer, sub: 'ada', aud: AUDIENCE },
      await generateSigningKey('ES256'),
      {
        lifetimeSeconds: 120,
        typ: 'at+jwt',
        clock: clock.now,
      },
    )
    expect((await get(token)).body).toMatchObject({ error: { message: 'invalid signature' } })
  })

  it('accepts tokens of an issuer whose clock is 2 s ahead or behind', async () => {
    const signedAt = (skewMs: number, lifetimeSeconds: number) =>
      signToken({ iss: issuer, sub: 'ada', aud: AUDIENCE, client_id: CLIENT_ID }, key, {
        lifetimeSeconds,
        typ: 'at+jwt',
        clock: () => clock.now() + skewMs,
      })
    for (const token of [await signedAt(2_000, 120), await signedAt(-2_000, 1)]) {
      expect((await get(token)).status).toBe(200)
      expect((await get(token, { CLOCK_TOLERANCE_SECONDS: '0' })).status).toBe(401)
    }
  })

  it('accepts tokens of an issuer whose clock is 3 s ahead with the default tolerance', async () => {
    const token = await signToken({ iss: issuer, sub: 'ada', aud: AUDIENCE }, key, {
      lifetimeSeconds: 120,
      typ: 'at+jwt',
      clock: () => clock.now() + 3_000,
    })
    expect((await get(token)).status).toBe(200)
    const strict = await get(token, { CLOCK_TOLERANCE_SECONDS: '2' })
    expect([strict.status, strict.body.error.message]).toEqual([401, 'jwt issued in the future'])
  })

  it('accepts a token if the provider also publishes keys that cannot be used here, and names them', async () => {
    const lines: string[] = []
    const log = createLog('backend-api', 'warn', { write: (line) => void lines.push(line) })
    const env = { PORT: '0', ISSUER: issuer, AUDIENCE, JWKS_URL: `${issuer}/jwks-with-others` }
    const { app } = createApp(loadConfig(env), log, clock.now)
    const send = async (token: string) => request(app).get('/data').set('authorization', `Bearer ${token}`)
    expect((await send(await accessToken())).status).toBe(200)
    const forged = await signToken(
      { iss: issuer, sub: 'ada', aud: AUDIENCE },
      { ...key, kid: 'ed448' },
      {
        lifetimeSeconds: 120,
        typ: 'at+jwt',
        clock: clock.now,
      },
    )
    const refused = await send(forged)
    expect([refused.status, refused.body.error.message]).toEqual([401, 'invalid signature'])
    clock.advance(600_000)
    expect((await send(await accessToken())).status).toBe(200)
    const warnings = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 40)
    expect(warnings).toHaveLength(1)
    const { warnings: shown } = (await request(app).get('/readyz')).body
    expect(shown['published keys']).toBe(
      `Keys of ${issuer} (${issuer}/jwks-with-others) are left out: ${warnings[0].leftOut}`,
    )
    expect(warnings[0].leftOut).toBe(
      'key 1 ("ed448"): The key cannot be read (RFC 7518 §6); ' +
        'key 2 ("weak"): An RSA key needs at least 2048 bits; this one has 1024; ' +
        'key 3 ("later"): The algorithm "ML-DSA-65" is not supported.',
    )
  })

  it('answers 502 and names the issuer if it publishes no usable key', async () => {
    const answer = await get(await accessToken(), { JWKS_URL: `${issuer}/unusable-jwks` })
    expect([answer.status, answer.body]).toEqual([
      502,
      {
        error: {
          code: 'keys_unusable',
          message: `The key set of ${issuer} is rejected. The set has no usable key: key 1: A kid must be a string of 1 to 256 characters.`,
        },
      },
    ])
    expect(answer.headers['www-authenticate']).toBeUndefined()
  })

  it('answers 503 with Retry-After, and not 401, to a new key while made-up ones use up the loads', async () => {
    const app = backend()
    const send = (token: string) => request(app).get('/data').set('authorization', `Bearer ${token}`)
    const made = (kid: string) =>
      signToken(
        { iss: issuer, sub: 'ada', aud: AUDIENCE },
        { ...testKey('ES256', kid), kid },
        { lifetimeSeconds: 120, typ: 'at+jwt', clock: clock.now },
      )
    expect((await send(await accessToken())).status).toBe(200)
    for (let n = 0; n < 5; n += 1) expect((await send(await made(`made-up-${n}`))).status).toBe(401)
    const answer = await send(await made('new'))
    expect([answer.status, answer.body, answer.headers['retry-after']]).toEqual([
      503,
      {
        error: {
          code: 'keys_unavailable',
          message: `The key of this token is not known, and the keys of ${issuer} were loaded moments ago. Retry after 6 s.`,
        },
      },
      '6',
    ])
    clock.advance(6_000)
    expect((await send(await made('new'))).status).toBe(401)
  })

  it.each(SIGNATURE_ALGORITHMS)('accepts tokens that are signed with %s', async (alg) => {
    const env = { JWKS_URL: `${issuer}/jwks-of-all-algorithms` }
    const token = await signToken({ iss: issuer, sub: 'ada', aud: AUDIENCE }, testKey(alg, alg), {
      lifetimeSeconds: 120,
      typ: 'at+jwt',
      clock: clock.now,
    })
    expect((await get(token, env)).status).toBe(200)
    const others = SIGNATURE_ALGORITHMS.filter((other) => other !== alg).join(',')
    const refused = await get(token, { ...env, TOKEN_ALGORITHMS: others })
    expect([refused.status, refused.body.error.message]).toEqual([401, 'invalid algorithm'])
  })

  it('rejects an expired token', async () => {
    const token = await accessToken()
    clock.advance(125_000)
    const answer = await get(token)
    expect(answer.status).toBe(401)
    expect(answer.body).toMatchObject({ error: { name: 'TokenExpiredError', message: 'jwt expired' } })
  })

  it('answers 401 to a JWT without any scope, and 403 to an at+jwt without one', async () => {
    const env = { REQUIRED_SCOPES: 'read:data' }
    const answer = await get(await accessToken({}, 'JWT'), env)
    expect([answer.status, answer.body.error.message]).toEqual([401, 'jwt is not an access token'])
    expect((await get(await accessToken({}, 'at+jwt'), env)).status).toBe(403)
  })

  it('answers 403 when the token lacks the scope', async () => {
    const env = { REQUIRED_SCOPES: 'read:data' }
    expect((await get(await accessToken({ scope: 'openid read:data' }), env)).status).toBe(200)
    const answer = await get(await accessToken({ scope: 'openid' }), env)
    expect(answer.status).toBe(403)
    expect(answer.headers['www-authenticate']).toBe(
      'Bearer realm="backend-api", error="insufficient_scope", scope="read:data"',
    )
  })

  it('answers 502 when the issuer’s keys cannot be fetched', async () => {
    const down = { ISSUER: 'http://localhost:1' }
    const token = await accessToken({ iss: 'http://localhost:1' })
    expect((await get(token, down)).status).toBe(502)
  })

  it('takes no keys in the clear for an issuer with an https name', () => {
    const env = { AUDIENCE, ISSUER: 'https://login.example.com/', JWKS_URL: `${issuer}/jwks` }
    expect(() => loadConfig(env)).toThrow(
      `JWKS_URL must be an https URL, because the issuer is one ("https://login.example.com/"), but is "${issuer}/jwks"`,
    )
  })
})

/** The claims of access tokens of well-known providers, as their documentation shows them. */
describe('access tokens of providers', () => {
  const aud = AUDIENCE
  it.each([
    [
      'Auth0',
      { aud: [aud, 'https://tenant.auth0.example/userinfo'], azp: 'app', scope: 'openid read:data' },
      'JWT',
    ],
    ['Auth0 with RFC 9068', { client_id: 'app', scope: 'read:data', jti: '1' }, 'at+jwt'],
    ['Entra v2', { azp: 'app', scp: 'profile read:data', ver: '2.0', tid: 't', oid: 'o' }, 'JWT'],
    ['Okta', { cid: 'app', uid: 'u', scp: ['openid', 'read:data'], ver: 1 }, 'JWT'],
    ['Keycloak', { typ: 'Bearer', azp: 'app', scope: 'openid read:data', aud: [aud, 'account'] }, 'JWT'],
    ['Keycloak with a nonce mapper', { typ: 'Bearer', nonce: 'n', scope: 'openid read:data' }, 'JWT'],
    ['Spring', { scope: ['openid', 'read:data'] }, 'JWT'],
    ['mock-oauth2-server, code flow', { nonce: 'n', scope: 'openid read:data', tid: 'default' }, 'JWT'],
  ])('of %s are accepted', async (_provider, claims, typ) => {
    const env = { AUDIENCE_LIST: 'contains' }
    const token = await accessToken(claims, typ)
    expect((await get(token, env)).status).toBe(200)
    expect((await get(token, { ...env, REQUIRED_SCOPES: 'read:data' })).status).toBe(200)
    const other = await get(token, { ...env, REQUIRED_SCOPES: 'write:data' })
    expect([other.status, other.body.error.code]).toEqual([403, 'insufficient_scope'])
  })

  /** It has neither nonce, at_hash nor typ, and the audience of a public client may be the API. */
  const idTokenOfRefresh = { azp: AUDIENCE, auth_time: 1_795_000_000, sid: 's', jti: 'j' }

  it.each([{}, { REQUIRED_SCOPES: 'read:data' }, { TOKEN_USE: 'at+jwt' }, { TOKEN_USE: 'typ=Bearer' }])(
    'are not the ID token of a refresh, as Spring issues it (%j)',
    async (env) => {
      const answer = await get(await accessToken(idTokenOfRefresh, 'JWT'), env)
      expect([answer.status, answer.body.error]).toEqual([
        401,
        { name: 'JsonWebTokenError', message: 'jwt is not an access token' },
      ])
      expect(answer.headers['www-authenticate']).toBe(
        'Bearer realm="backend-api", error="invalid_token", error_description="jwt is not an access token"',
      )
    },
  )

  it('need no scope if their type or the configured claim tells what they are', async () => {
    expect((await get(await accessToken({}, 'at+jwt'))).status).toBe(200)
    const ofKeycloak = await accessToken({ typ: 'Bearer' }, 'JWT')
    expect((await get(ofKeycloak)).status).toBe(401)
    expect((await get(ofKeycloak, { TOKEN_USE: 'typ=Bearer' })).status).toBe(200)
    expect((await get(ofKeycloak, { TOKEN_USE: 'at+jwt' })).status).toBe(401)
  })
})

describe('the configuration', () => {
  it('names the values of TOKEN_USE and TOKEN_ALGORITHMS', () => {
    const env = { ISSUER: issuer, AUDIENCE }
    expect(() => loadConfig({ ...env, TOKEN_USE: 'access', TOKEN_ALGORITHMS: 'RS256,none' })).toThrow(
      /TOKEN_USE: must be at\+jwt, scoped, any, or a claim and its value such as typ=Bearer[\s\S]*TOKEN_ALGORITHMS: none is not one of RS256, /,
    )
  })

  it.each([
    [',', 'REQUIRED_SCOPES must be a list separated by commas, without empty items, but is ","'],
    ['a b', 'REQUIRED_SCOPES must separate scopes by commas, not by spaces, but is "a b"'],
  ])('rejects the scopes %j', (REQUIRED_SCOPES, problem) => {
    expect(() => loadConfig({ ISSUER: issuer, AUDIENCE, REQUIRED_SCOPES })).toThrow(
      `Invalid configuration:\n  - ${problem}`,
    )
  })

  it('requires an issuer and an audience unless ACCESS is open', () => {
    expect(() => loadConfig({})).toThrow(/ISSUER is required[\s\S]*AUDIENCE is required/)
    expect(() => loadConfig({ ACCESS: 'false' })).toThrow(/ACCESS must be one of guarded, open/)
  })

  it('names the variable that replaces LEEWAY_S', () => {
    expect(() => loadConfig({ ISSUER: issuer, AUDIENCE, LEEWAY_S: '10' })).toThrow(
      'LEEWAY_S is no longer read; set CLOCK_TOLERANCE_SECONDS instead',
    )
  })
})
