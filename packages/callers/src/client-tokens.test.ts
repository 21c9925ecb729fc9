import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog, UnusableKeys } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { CallersFile } from './callers-file.ts'

const AUDIENCE = 'https://jwt-factory/'
const clock = new ManualClock()
const key = testKey('RS256', 'provider')

/** OpenID providers at several paths of one origin. */
const provider = { keys: [] as object[], asked: [] as (string | undefined)[], isDown: false }
let listener: Server
let origin: string
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-tokens-'))
  listener = createServer((request, response) => {
    provider.asked.push(request.url)
    if (provider.isDown) return void response.writeHead(503).end()
    const [, path] = /^(.*\/)\.well-known\/openid-configuration$/.exec(request.url as string) ?? []
    const named = path?.endsWith('/slash/') ? `${origin}${path}` : `${origin}${path?.slice(0, -1)}`
    const body =
      path === undefined ? { keys: provider.keys } : { issuer: named, jwks_uri: `${origin}${path}keys` }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
})
afterAll(async () => {
  listener.closeAllConnections()
  await new Promise((resolve) => listener.close(resolve))
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  Object.assign(provider, { keys: publicJwks([key]).keys, asked: [], isDown: false })
})

const write = (entry: object, file = 'callers.json') =>
  writeFile(
    join(folder, file),
    JSON.stringify({
      callers: [
        { method: 'oidc', issuer: `${origin}/realm`, clients: { batch: { keyId: 'servicea' } }, ...entry },
      ],
    }),
  )
async function open(entry: object = {}, unusable = new UnusableKeys(silentLog)): Promise<CallersFile> {
  await write(entry)
  const config = { mode: 'authenticated', trustFile: join(folder, 'callers.json'), leewaySeconds: 5 } as const
  const callers = new CallersFile(config, AUDIENCE, { clock: clock.now, unusable })
  await callers.load()
  return callers
}

/** A token that the client `batch` got for itself, as RFC 9068 §3 describes it; a claim that is undefined is left out. */
function token(
  claims: object = {},
  options: { key?: SigningKey; lifetimeSeconds?: number; typ?: string } = {},
): Promise<string> {
  const all = {
    iss: `${origin}/realm`,
    sub: 'batch',
    client_id: 'batch',
    aud: AUDIENCE,
    scope: 'keys',
    ...claims,
  }
  const defined = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  const { key: signer = key, ...more } = options
  return signToken(defined, signer, { lifetimeSeconds: 300, clock: clock.now, typ: 'at+jwt', ...more })
}

const rejection = (message: string) => ({
  status: 401,
  code: 'invalid_client',
  message: `Client authentication failed: ${message}.`,
  headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
})
const NOT_ITS_OWN = "the token names batch, but its sub is not this client's own, so it may be a user's token"

describe('an access token of an OpenID provider', () => {
  it('identifies the client and its rights, also as an assertion in a form', async () => {
    const callers = await open()
    const caller = { subject: 'batch', keyId: 'servicea', admin: false, claims: [], scopes: [] }
    expect(await callers.identify(await token())).toEqual(caller)
    expect(await callers.identify(await token({ aud: [AUDIENCE] }))).toEqual(caller)
    const form = {
      token: await token(),
      type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      certificates: [],
    } as const
    expect(await callers.identifyClient({ ...form, clientId: 'batch' })).toEqual(caller)
    await expect(callers.identifyClient({ ...form, clientId: 'other' })).rejects.toMatchObject(
      rejection('client_id is not the client of the assertion'),
    )
    expect(callers.authentication.methods).toEqual(['private_key_jwt'])
  })

  it.each([
    ['Keycloak', 'client_id', { azp: 'batch', sub: '7a1f0c2e', typ: 'Bearer' }, { subject: '7a1f0c2e' }],
    [
      'Auth0',
      'azp',
      { azp: 'batch', client_id: undefined, sub: 'batch@clients' },
      { subject: 'batch@clients' },
    ],
    ['Okta', 'cid', { cid: 'batch', client_id: undefined, scope: undefined, scp: ['keys'] }, {}],
  ])('identifies the client with the claims of %s', async (_provider, clientIdClaim, claims, listed) => {
    const callers = await open({ clientIdClaim, clients: { batch: { keyId: 'servicea', ...listed } } })
    expect(await callers.identify(await token(claims, { typ: 'JWT' }))).toMatchObject({
      subject: 'batch',
      keyId: 'servicea',
    })
  })

  it('AL-45 does not make a user the client: a token of a user names the client by which the user got it', async () => {
    const users = { sub: 'ada' }
    await expect((await open()).identify(await token(users))).rejects.toMatchObject(rejection(NOT_ITS_OWN))
    const withSubject = await open({ clients: { batch: { subject: 'account-of-batch' } } })
    for (const sub of ['ada', 'batch'])
      await expect(withSubject.identify(await token({ sub }))).rejects.toMatchObject(rejection(NOT_ITS_OWN))
    const tolerant = await open({ allowUserTokens: true })
    expect(await tolerant.identify(await token(users))).toMatchObject({ subject: 'batch' })
  })

  it('does not identify a client by its sub alone, nor by a claim that is no text', async () => {
    const callers = await open()
    for (const client_id of [undefined, '', ['batch'], { batch: true }])
      await expect(callers.identify(await token({ client_id }))).rejects.toMatchObject(
        rejection('the token has no client_id claim with a client ID'),
      )
  })

  it('gets 403 for a client that is not listed, also for names of members of every object', async () => {
    const callers = await open({ allowUserTokens: true })
    for (const client_id of ['other', 'constructor', '__proto__'])
      await expect(callers.identify(await token({ client_id, sub: client_id }))).rejects.toMatchObject({
        status: 403,
        code: 'caller_not_listed',
        message: `${client_id} is not a trusted caller. Add it to TRUSTED_CALLERS_FILE.`,
      })
  })

  it('has the audience that the provider writes for this service, and no other unless that is allowed', async () => {
    const callers = await open({ audience: 'api://factory' })
    expect(await callers.identify(await token({ aud: 'api://factory' }))).toMatchObject({ subject: 'batch' })
    await expect(callers.identify(await token())).rejects.toMatchObject(
      rejection('jwt audience invalid. expected: api://factory'),
    )
    const several = { aud: ['api://factory', 'account'] }
    await expect(callers.identify(await token(several))).rejects.toMatchObject(
      rejection('the assertion has more than one audience'),
    )
    const tolerant = await open({ audience: 'api://factory', audienceList: 'contains' })
    expect(await tolerant.identify(await token(several))).toMatchObject({ subject: 'batch' })
  })

  it('is no ID token, nor another token without scopes, unless tokenUse accepts it', async () => {
    const callers = await open()
    const idToken = { client_id: undefined, azp: 'batch', scope: undefined }
    for (const claims of [idToken, { ...idToken, at_hash: 'x' }, { scope: '' }, { typ: 'ID' }])
      await expect(callers.identify(await token(claims, { typ: 'JWT' }))).rejects.toMatchObject(
        rejection('jwt is not an access token'),
      )
    const ofEntra = { azp: 'batch', client_id: undefined, scope: undefined, sub: '2c5e' }
    const clients = { batch: { subject: '2c5e' } }
    const entra = await open({ clientIdClaim: 'azp', tokenUse: 'idtyp=app', clients })
    expect(await entra.identify(await token({ ...ofEntra, idtyp: 'app' }, { typ: 'JWT' }))).toMatchObject({
      subject: 'batch',
    })
    await expect(entra.identify(await token(ofEntra, { typ: 'JWT' }))).rejects.toMatchObject(
      rejection('jwt is not an access token'),
    )
    const any = await open({ tokenUse: 'any' })
    expect(await any.identify(await token({ scope: undefined }, { typ: 'JWT' }))).toBeDefined()
  })

  it('is signed with any of the ten algorithms, or only with those of the file', async () => {
    const es384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
    const jwk = { ...es384.publicKey.export({ format: 'jwk' }), kid: 'es384', alg: 'ES384', use: 'sig' }
    provider.keys = [jwk, ...provider.keys]
    const now = Math.floor(clock.now() / 1000)
    const claims = { iss: `${origin}/realm`, sub: 'batch', client_id: 'batch', aud: AUDIENCE }
    const input = [
      { alg: 'ES384', typ: 'at+jwt', kid: 'es384' },
      { ...claims, iat: now, exp: now + 300 },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    const signature = sign('sha384', Buffer.from(input), {
      key: es384.privateKey,
      dsaEncoding: 'ieee-p1363',
    }).toString('base64url')
    const signed = `${input}.${signature}`
    expect(await (await open()).identify(signed)).toMatchObject({ subject: 'batch' })
    const strict = await open({ algorithms: ['RS256'] })
    expect(await strict.identify(await token())).toMatchObject({ subject: 'batch' })
    await expect(strict.identify(signed)).rejects.toMatchObject(rejection('invalid algorithm'))
  })

  it('is valid for at most 90 minutes, or as long as the file says', async () => {
    const callers = await open()
    expect(await callers.identify(await token({}, { lifetimeSeconds: 5_400 }))).toBeDefined()
    await expect(callers.identify(await token({}, { lifetimeSeconds: 5_401 }))).rejects.toMatchObject(
      rejection('jwt lifetime too long'),
    )
    const longer = await open({ maxLifetimeSeconds: 86_400 })
    expect(await longer.identify(await token({}, { lifetimeSeconds: 86_400 }))).toBeDefined()
  })

  it('is rejected from another issuer of the same origin, although both have the same keys', async () => {
    const callers = await open()
    for (const iss of [`${origin}/realm/`, `${origin}/other`, origin])
      await expect(callers.identify(await token({ iss }))).rejects.toMatchObject(
        rejection('the issuer of the assertion is not trusted'),
      )
  })
})

describe('the keys of an OpenID provider', () => {
  it('are discovered at an issuer with a path and a slash at the end, whose name is compared exactly', async () => {
    const issuer = `${origin}/o/slash/`
    const callers = await open({ issuer })
    expect(await callers.identify(await token({ iss: issuer }))).toMatchObject({ subject: 'batch' })
    expect(provider.asked).toEqual(['/o/slash/.well-known/openid-configuration', '/o/slash/keys'])
    const shortened = await open({ issuer: issuer.slice(0, -1) })
    await expect(shortened.identify(await token({ iss: issuer.slice(0, -1) }))).rejects.toMatchObject({
      status: 502,
      code: 'peer_unexpected_answer',
      message: `issuer answered 200: its discovery document has the issuer "${issuer}", not ${issuer.slice(0, -1)}`,
    })
  })

  it('are loaded again when a token names a new one, and distrusted a minute after they were removed', async () => {
    const callers = await open()
    await callers.identify(await token())
    const next = testKey('ES256', 'next')
    provider.keys = publicJwks([key, next]).keys
    clock.advance(5_001)
    expect(await callers.identify(await token({}, { key: next }))).toMatchObject({ subject: 'batch' })
    provider.keys = publicJwks([next]).keys
    clock.advance(60_001)
    await expect(callers.identify(await token())).rejects.toMatchObject(rejection('invalid signature'))
  })

  it('are used without those beside them that cannot be used', async () => {
    const weak = { kty: 'RSA', kid: 'weak', use: 'sig', n: 'AQAB', e: 'AQAB' }
    const ed448 = { kty: 'OKP', crv: 'Ed448', alg: 'EdDSA', use: 'sig', kid: 'ed448', x: 'AAAA' }
    provider.keys = [weak, ed448, ...provider.keys]
    const unusable = new UnusableKeys(silentLog)
    expect(await (await open({}, unusable)).identify(await token())).toMatchObject({ subject: 'batch' })
    expect(unusable.warnings['published keys']?.()).toBe(
      `Keys of ${origin}/realm are left out: key 1 ("weak"): An RSA key needs at least 2048 bits; this one has 17; key 2 ("ed448"): The key cannot be read (RFC 7518 §6).`,
    )
    provider.keys = [weak, ed448]
    await expect((await open()).identify(await token())).rejects.toMatchObject({
      name: 'KeySetError',
      reason: 'no_usable_key',
      message: expect.stringContaining(`The key set of ${origin}/realm is rejected.`),
    })
  })

  it('are unavailable while the provider is; its clients are not blamed', async () => {
    provider.isDown = true
    const callers = await open()
    await expect(callers.identify(await token())).rejects.toMatchObject({
      status: 502,
      code: 'peer_unexpected_answer',
      message: `issuer answered 503: GET ${origin}/realm/.well-known/openid-configuration`,
    })
    provider.isDown = false
    clock.advance(1_001)
    expect(await callers.identify(await token())).toMatchObject({ subject: 'batch' })
  })

  it('can be at a URL of their own, or in a file', async () => {
    const urn = 'urn:example:issuer'
    const byUrl = await open({ issuer: urn, jwksUrl: `${origin}/keys` })
    expect(await byUrl.identify(await token({ iss: urn }))).toMatchObject({ subject: 'batch' })
    await writeFile(join(folder, 'provider.json'), JSON.stringify(publicJwks([key])))
    provider.isDown = true
    const byFile = await open({ jwksFile: 'provider.json' })
    expect(await byFile.identify(await token())).toMatchObject({ subject: 'batch' })
  })
})

describe('a changed trusted-callers file', () => {
  it('takes effect within a second; the keys stay, unless what is accepted has changed', async () => {
    const callers = await open({ clients: { admin: { keyId: 'a' }, batch: {} } })
    const asAdmin = async (sub = 'admin') => callers.identify(await token({ client_id: 'admin', sub }))
    expect(await asAdmin()).toMatchObject({ keyId: 'a', admin: false })
    expect(provider.asked).toHaveLength(2)
    await write({ clients: { admin: { keyId: 'b', admin: true } } })
    clock.advance(1_000)
    expect(await asAdmin()).toMatchObject({ keyId: 'b', admin: true })
    await expect(callers.identify(await token())).rejects.toMatchObject({ code: 'caller_not_listed' })
    await write({ clients: { admin: { subject: 'account-of-admin' } } })
    clock.advance(1_000)
    await expect(asAdmin()).rejects.toMatchObject({ status: 401, code: 'invalid_client' })
    expect(await asAdmin('account-of-admin')).toMatchObject({ subject: 'admin' })
    await write({ audience: 'api://factory', clients: { admin: { subject: 'account-of-admin' } } })
    clock.advance(1_000)
    await expect(asAdmin('account-of-admin')).rejects.toMatchObject(
      rejection('jwt audience invalid. expected: api://factory'),
    )
  })
})
