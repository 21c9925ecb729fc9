import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp as createFactory, loadConfig as loadFactoryConfig } from '@hallpass/jwt-factory/app'
import { type Environment, type Service, silentLog } from '@hallpass/service-kit'
import { parseCompact, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import supertest from 'supertest'
import { createApp, loadConfig } from './app.ts'

const key = testKey('RS256', 'foreign')
const provider = { keys: [] as object[] }
let factory: Service
const callees: Service[] = []
let listener: Server
let folder: string
let factoryUrl: string
let issuer: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreign-issuer-'))
  listener = createServer((request, response) => {
    const body = request.url?.startsWith('/realm/.well-known/')
      ? { issuer, jwks_uri: `${issuer}keys` }
      : { keys: provider.keys }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/realm/`
  const config = { PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: join(folder, 'factory') }
  factory = await createFactory(loadFactoryConfig(config), silentLog)
  factoryUrl = (await factory.start()).http as string
  await supertest(factoryUrl).get('/keys/servicea').expect(200)
})
afterAll(async () => {
  await factory.stop()
  listener.closeAllConnections()
  await new Promise((resolve) => listener.close(resolve))
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  provider.keys = publicJwks([key]).keys
})

afterEach(async () => {
  await Promise.all(callees.splice(0).map((callee) => callee.stop()))
})

/** Starts service B; returns how to call a route of it. */
async function start(env: Environment = {}) {
  const callee = createApp(
    loadConfig({
      PORT: '0',
      HTTPS_PORT: '0',
      STATE_FOLDER: join(folder, 'callee'),
      JWT_FACTORY_URL: factoryUrl,
      TOKEN_ISSUER: issuer,
      ...env,
    }),
    silentLog,
  )
  callees.push(callee)
  const { http } = await callee.start()
  return async (token: string, route = '/scenario1-server') => {
    const answer = await supertest(http as string)
      .get(route)
      .set('authorization', `Bearer ${token}`)
    return { status: answer.status, body: answer.body, challenge: answer.headers['www-authenticate'] }
  }
}

const issued = async () =>
  (await supertest(factoryUrl).post('/issueToken/servicea').send({ aud: 'serviceb' }).expect(200)).text
const foreign = (claims: object = {}, options: { key?: SigningKey; typ?: string } = {}) =>
  signToken({ iss: issuer, sub: 'batch', aud: 'serviceb', scope: 'orders', ...claims }, options.key ?? key, {
    lifetimeSeconds: 300,
    typ: options.typ ?? 'JWT',
  })
const message = async (answer: ReturnType<Awaited<ReturnType<typeof start>>>) => {
  const { status, body } = await answer
  return [status, body.error?.message ?? body.message]
}

describe('service B with TOKEN_ISSUER', () => {
  it.each(['online', 'offline'])(
    'accepts tokens of the foreign issuer beside those of the factory, which it verifies %s',
    async (mode) => {
      const call = await start({ VERIFY_ISSUED_TOKENS: mode })
      for (const route of ['/scenario1-server', '/scenario2-server'])
        expect(await call(await foreign(), route)).toMatchObject({
          status: 200,
          body: { valid: true, claims: { iss: issuer, sub: 'batch' } },
        })
      // Offline, the factory's tokens need a status, which this factory does not give them.
      expect(await message(call(await issued()))).toEqual(
        mode === 'online' ? [200, undefined] : [401, 'jwt status required'],
      )
    },
  )

  it('AL-28 never uses the key of one issuer for another, although they have one kid', async () => {
    const call = await start()
    const { kid } = parseCompact(await issued()).header as { kid: string }
    const shared = { ...testKey('ES256', 'shared'), kid }
    provider.keys = publicJwks([shared]).keys
    const claims = { sub: 'servicea', aud: 'serviceb' }
    expect((await call(await foreign(claims, { key: shared }))).status).toBe(200)
    const forged = await foreign({ ...claims, iss: 'https://jwt-factory/' }, { key: shared })
    expect(await message(call(forged))).toEqual([401, 'invalid signature'])
    // Signed by the factory's key of service A, in the name of the foreign issuer.
    const asked = { aud: 'serviceb', iss: issuer, scope: 'orders' }
    const { text } = await supertest(factoryUrl).post('/issueToken/servicea').send(asked).expect(200)
    expect(parseCompact(text).payload.iss).toBe(issuer)
    expect(await message(call(text))).toEqual([401, 'invalid signature'])
  })

  it('rejects other audiences, ID tokens, other subjects and tokens without the scopes', async () => {
    const call = await start({ TOKEN_SUBJECT: 'batch', TOKEN_SCOPES: 'orders' })
    expect((await call(await foreign())).status).toBe(200)
    expect(await message(call(await foreign({ aud: 'servicec' })))).toEqual([
      401,
      'jwt audience invalid. expected: serviceb',
    ])
    expect(await message(call(await foreign({ at_hash: 'x' })))).toEqual([401, 'jwt is not an access token'])
    expect(await message(call(await foreign({ sub: 'ada' })))).toEqual([
      401,
      'jwt subject invalid. expected: batch',
    ])
    const other = await call(await foreign({ scope: 'other' }))
    expect(other).toMatchObject({
      status: 403,
      challenge: 'Bearer realm="serviceb", error="insufficient_scope", scope="orders"',
    })
    // The scopes are those of the foreign issuer; the factory's tokens need none.
    expect((await call(await issued())).status).toBe(200)
  })

  it('leaves the other issuers to the factory, and requests without a token as they were', async () => {
    const call = await start()
    for (const iss of [issuer.slice(0, -1), 'https://other.example/'])
      expect((await call(await foreign({ iss }))).status).toBe(401)
    expect(await call('no-token')).toMatchObject({ status: 401 })
    expect((await call(await foreign(), '/hello')).status).toBe(200)
  })

  it('accepts no token of the issuer without TOKEN_ISSUER', async () => {
    const call = await start({ TOKEN_ISSUER: '' })
    expect(await message(call(await foreign()))).toEqual([
      401,
      'jwt issuer invalid. expected: https://jwt-factory/',
    ])
    expect((await call(await issued())).status).toBe(200)
  })

  it('finds a rotated key with its first token', async () => {
    const call = await start()
    expect((await call(await foreign())).status).toBe(200)
    const next = testKey('ES256', 'next')
    provider.keys = publicJwks([key, next]).keys
    expect((await call(await foreign({}, { key: next }))).status).toBe(200)
  })

  it.each(['node-crypto', 'jsonwebtoken', 'jose', 'node-jose'])(
    'verifies them with %s',
    async (TOKEN_LIBRARY) => {
      const call = await start({ TOKEN_LIBRARY })
      expect((await call(await foreign())).status).toBe(200)
      expect(
        await message(call(await foreign({}, { key: { ...testKey('RS256', 'x'), kid: 'foreign' } }))),
      ).toEqual([401, 'invalid signature'])
    },
  )
})

describe('the configuration of TOKEN_ISSUER', () => {
  const problemsOf = (env: Environment) => {
    try {
      loadConfig(env)
      return []
    } catch (error) {
      return (error as { problems: string[] }).problems
    }
  }

  it.each([
    [
      { TOKEN_AUDIENCE: 'a', TOKEN_SCOPES: 'b' },
      'TOKEN_AUDIENCE, TOKEN_SCOPES need TOKEN_ISSUER, which is not set',
    ],
    [
      { TOKEN_ISSUER: 'https://a/', TOKEN_SCOPES: ',' },
      'TOKEN_SCOPES must be a list separated by commas, without empty items, but is ","',
    ],
    [
      { TOKEN_ISSUER: 'https://a/', TOKEN_SCOPES: 'a b' },
      'TOKEN_SCOPES must separate scopes by commas, not by spaces, but is "a b"',
    ],
    [
      { TOKEN_ISSUER: 'https://jwt-factory/' },
      'TOKEN_ISSUER must not be JWT_FACTORY_ISSUER: an issuer has one verifier',
    ],
    [
      { TOKEN_ISSUER: 'https://a/', TOKEN_LIBRARY: 'jsonwebtoken', TOKEN_ALGORITHMS: 'RS256,EdDSA' },
      'TOKEN_ALGORITHMS: jsonwebtoken does not support EdDSA; node-crypto and jose do.',
    ],
    [
      { TOKEN_ISSUER: 'https://a/', TOKEN_USE: 'id' },
      'TOKEN_USE: must be at+jwt, scoped, any, or a claim and its value such as typ=Bearer',
    ],
    [
      { TOKEN_ISSUER: 'https://login.microsoftonline.com/{tenantid}/v2.0' },
      'TOKEN_ISSUER must be an http or https URL without query, fragment, credentials, spaces and placeholders, because the keys are discovered at it, unless TOKEN_JWKS_URL is set, but is "https://login.microsoftonline.com/{tenantid}/v2.0"',
    ],
    [{ TOKEN_AUDIENCE: 'x' }, 'TOKEN_AUDIENCE needs TOKEN_ISSUER, which is not set'],
    [
      { TOKEN_ISSUER: 'http://login.example/' },
      'TOKEN_ISSUER is not encrypted, so anyone on the network can replace its keys and sign tokens: use an https URL, or set MESH to the name of the mesh that encrypts and authenticates this connection (e.g. MESH=istio), but is "http://login.example/"',
    ],
  ])('is refused: %j', (env, problem) => {
    expect(problemsOf(env)).toContain(problem)
  })
})
