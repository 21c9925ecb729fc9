import { sign } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@hallpass/free-ports'
import { createLog, UnusableKeys } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import {
  exportPrivatePem,
  generateSigningKey,
  parseCompact,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SigningKey,
} from '@hallpass/tokens'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type FakeProvider, fakeProvider } from '../testing/fake-provider.ts'
import { OpenidClient, type OpenidClientOptions } from './openid-client.ts'

const clock = new ManualClock(Date.now())
let lines: string[] = []
const log = createLog('web-ui', 'debug', { write: (line) => void lines.push(line) })
const running: FakeProvider[] = []

async function startProvider(path = '') {
  const provider = await fakeProvider({ port: await freePort(), path, clock: clock.now })
  await provider.start()
  running.push(provider)
  return provider.state
}
afterAll(() => Promise.all(running.map((one) => one.stop())))

const clientOf = (issuerUrl: string, options: Partial<OpenidClientOptions> = {}) =>
  new OpenidClient({
    issuerUrl,
    clientId: 'web-ui',
    clientAuth: { method: 'client_secret_basic', secret: 'secret' },
    redirectUri: 'http://localhost:1/callback',
    algorithms: SIGNATURE_ALGORITHMS,
    leewaySeconds: 5,
    unusable: new UnusableKeys(log),
    log,
    clock: clock.now,
    ...options,
  })

async function logIn(client: OpenidClient) {
  const { url, attempt } = await client.begin('/')
  const answer = await fetch(url, { redirect: 'manual' })
  return client.finish(new URL(answer.headers.get('location') as string).search.slice(1), attempt)
}

describe('the OpenID client', () => {
  let provider: FakeProvider['state']
  let honestKey: SigningKey
  beforeAll(async () => {
    provider = await startProvider()
    honestKey = provider.key as SigningKey
  })
  afterEach(() => {
    provider.tricks = {}
    provider.key = honestKey
    lines = []
  })

  describe('the algorithm of ID tokens', () => {
    it.each(SIGNATURE_ALGORITHMS)('%s works at login and at a refresh', async (alg) => {
      provider.key = (await generateSigningKey(alg as SignatureAlgorithm)) as SigningKey
      const client = clientOf(provider.issuer)
      const { claims, refreshToken } = await logIn(client)
      expect(claims).toMatchObject({ sub: 'ada' })
      expect(await client.refresh(refreshToken as string, 'ada')).toMatchObject({ claims: { sub: 'ada' } })
    })

    it('may have its new name Ed25519 (RFC 9864) where EdDSA is accepted', async () => {
      provider.key = (await generateSigningKey('EdDSA')) as SigningKey
      const named = (payload: object) => {
        const input = [{ alg: 'Ed25519', typ: 'JWT', kid: provider.key?.kid }, payload]
          .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
          .join('.')
        const key = exportPrivatePem(provider.key as SigningKey)
        return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
      }
      const logInNamed = async (client: OpenidClient) => {
        const { url, attempt } = await client.begin('/')
        const { payload } = parseCompact(await provider.idToken({ nonce: attempt.nonce }))
        provider.tricks = { rawIdToken: named(payload) }
        const answer = await fetch(url, { redirect: 'manual' })
        return client.finish(new URL(answer.headers.get('location') as string).search.slice(1), attempt)
      }
      const client = clientOf(provider.issuer)
      const { claims, refreshToken } = await logInNamed(client)
      expect(claims).toMatchObject({ sub: 'ada' })
      expect(await client.refresh(refreshToken as string, 'ada')).toMatchObject({ claims: { sub: 'ada' } })
      await expect(logInNamed(clientOf(provider.issuer, { algorithms: ['RS256'] }))).rejects.toMatchObject({
        code: 'OAUTH_INVALID_RESPONSE',
        message: 'unexpected JWT "alg" header parameter',
      })
    })

    it('must be a configured one', async () => {
      provider.key = (await generateSigningKey('ES384' as never)) as SigningKey
      await expect(logIn(clientOf(provider.issuer, { algorithms: ['RS256'] }))).rejects.toMatchObject({
        name: 'LoginRefused',
        declined: false,
      })
    })
  })

  describe('after the provider has replaced its keys', () => {
    it('the next login and the next refresh load them once', async () => {
      const client = clientOf(provider.issuer)
      const { refreshToken } = await logIn(client)
      provider.key = await generateSigningKey('RS256')
      const before = provider.keyLoads
      const renewed = await client.refresh(refreshToken as string, 'ada')
      expect(renewed.claims).toMatchObject({ sub: 'ada' })
      await logIn(client)
      expect(provider.keyLoads - before).toBe(1)
    })

    it('unknown keys load the set at most five times in 5 s', async () => {
      const client = clientOf(provider.issuer)
      await logIn(client)
      provider.tricks = { idTokenKey: await generateSigningKey('RS256') }
      const before = provider.keyLoads
      for (let login = 0; login < 5; login += 1)
        await expect(logIn(client)).rejects.toMatchObject({ code: 'key_unknown' })
      for (let login = 0; login < 3; login += 1)
        await expect(logIn(client)).rejects.toMatchObject({ name: 'KeyNotLoadedError', retryAfterSeconds: 1 })
      expect(provider.keyLoads - before).toBe(5)
      provider.key = await generateSigningKey('RS256')
      provider.tricks = {}
      clock.advance(1_000)
      expect((await logIn(client)).claims).toMatchObject({ sub: 'ada' })
    })
  })

  describe('a refresh', () => {
    it.each([
      ['do not load', { keysAway: true }],
      ['cannot be used', { keySet: { keys: [{ kty: 'OKP', crv: 'Ed448', kid: 'k', x: 'AA' }] } }],
    ])('keeps the new tokens without the ID token if the keys %s', async (_, tricks) => {
      const { refreshToken } = await logIn(clientOf(provider.issuer))
      provider.tricks = tricks
      const { accessToken, ...renewed } = await clientOf(provider.issuer).refresh(
        refreshToken as string,
        'ada',
      )
      expect(accessToken).toMatch(/^eyJ/)
      expect(renewed).toMatchObject({
        refreshToken: expect.any(String),
        idToken: undefined,
        claims: undefined,
      })
      expect(lines.join('')).toContain('renewed ID token not used')
    })

    it('waits for an answer after 6 s, because the old refresh token no longer works; a login does not', async () => {
      const client = clientOf(provider.issuer)
      const { refreshToken } = await logIn(client)
      const late = () => sleep(6_000)
      provider.tricks = { beforeRefresh: late, beforeRedeem: late }
      const [renewed, login] = await Promise.allSettled([
        client.refresh(refreshToken as string, 'ada'),
        logIn(client),
      ])
      expect(renewed).toMatchObject({ value: { refreshToken: expect.stringMatching(/^[0-9a-f]{32}$/) } })
      expect(login).toMatchObject({
        reason: { code: 'peer_timeout', message: expect.stringContaining('did not answer within 5000 ms') },
      })
    }, 15_000)

    const refused: [string, FakeProvider['state']['tricks']['idToken'], string][] = [
      ['another subject', (claims) => ({ ...claims, sub: 'ben' }), 'other_subject'],
      ['another audience', (claims) => ({ ...claims, aud: 'other' }), 'audience_mismatch'],
      ['another issuer', (claims) => ({ ...claims, iss: 'https://mallory.example' }), 'issuer_mismatch'],
    ]
    it.each(refused)('with %s is refused, and keeps the next refresh token', async (_, idToken, code) => {
      const client = clientOf(provider.issuer)
      const { refreshToken } = await logIn(client)
      provider.tricks = { idToken: idToken as never }
      await expect(client.refresh(refreshToken as string, 'ada')).rejects.toMatchObject({
        name: 'LoginRefused',
        code,
        rotatedRefreshToken: expect.stringMatching(/^[0-9a-f]{32}$/),
      })
    })

    const challenge = { 'www-authenticate': 'Basic realm="p"' }
    const temporary = { error: 'temporarily_unavailable', error_description: 'Down for maintenance' }
    it.each([
      [429, temporary, {}, 'LoginRefused', 'temporarily_unavailable', /^Down for maintenance$/],
      [
        503,
        temporary,
        {},
        'ProviderFault',
        'temporarily_unavailable',
        /answered 503: Down for maintenance\.$/,
      ],
      [500, { error: 'server_error' }, {}, 'ProviderFault', 'server_error', /answered 500: server_error\.$/],
      // Only a 4xx says that the grant is over.
      [500, { error: 'invalid_grant' }, {}, 'ProviderFault', 'invalid_grant', /answered 500/],
      [
        503,
        'away',
        {},
        'ProviderFault',
        'peer_unexpected_answer_503',
        /answered 503 without an error code\.$/,
      ],
      [404, { error: { code: 1 } }, {}, 'ProviderFault', 'peer_unexpected_answer_404', /answered 404/],
      [302, {}, {}, 'ProviderFault', 'peer_unexpected_answer_302', /answered 302/],
      [401, { error: 'invalid_client' }, challenge, 'LoginRefused', 'invalid_client', /CLIENT_AUTH/],
      [401, { error: 'invalid_client' }, {}, 'LoginRefused', 'invalid_client', /CLIENT_AUTH/],
      [400, { error: 'invalid_client' }, {}, 'LoginRefused', 'invalid_client', /CLIENT_AUTH/],
      [401, 'no', challenge, 'LoginRefused', 'invalid_client', /CLIENT_AUTH/],
      [401, { error: 'invalid_grant' }, challenge, 'LoginRefused', 'invalid_grant', /^invalid_grant$/],
    ] as const)('%i %j %j is %s %s', async (status, body, headers, name, code, message) => {
      const client = clientOf(provider.issuer)
      await client.begin('/')
      provider.tricks = {
        tokenEndpoint: () => ({ status, body, headers: { ...headers, 'retry-after': '17' } }),
      }
      await expect(client.refresh('old', 'ada')).rejects.toMatchObject({
        name,
        code,
        message: expect.stringMatching(message),
        retryAfterSeconds: 17,
      })
    })
  })

  describe('the type of an access token', () => {
    it.each(['bearer', 'BEARER'])('may be %s', async (tokenType) => {
      provider.tricks = { tokenType }
      const client = clientOf(provider.issuer)
      const { refreshToken } = await logIn(client)
      expect((await client.refresh(refreshToken as string, 'ada')).accessToken).toMatch(/^ey/)
    })

    it.each(['DPoP', 'mac', 'N_A', '', undefined, null, ['Bearer']])(
      'must not be %j; the next refresh token is kept',
      async (tokenType) => {
        const client = clientOf(provider.issuer)
        const { refreshToken } = await logIn(client)
        provider.tricks = { tokenType }
        const refused = {
          name: 'LoginRefused',
          code: 'not_a_bearer_token',
          message: `the access token is not a bearer token: its token_type is ${JSON.stringify(tokenType) ?? 'missing'}`,
          declined: false,
          rotatedRefreshToken: expect.stringMatching(/^[0-9a-f]{32}$/),
        }
        await expect(logIn(client)).rejects.toMatchObject(refused)
        await expect(client.refresh(refreshToken as string, 'ada')).rejects.toMatchObject(refused)
      },
    )
  })

  describe('the audience of an ID token', () => {
    const audiences: [unknown, string | undefined, boolean][] = [
      [['web-ui'], undefined, true],
      [['web-ui', 'other'], 'web-ui', true],
      [['web-ui', 'other'], undefined, false],
      ['web-ui', 'other', false],
      [['other'], 'web-ui', false],
    ]
    it.each(audiences)('%j with azp %s: %s', async (aud, azp, isAccepted) => {
      const client = clientOf(provider.issuer)
      const { refreshToken } = await logIn(client)
      provider.tricks = { idToken: (claims) => ({ ...claims, aud, azp }) }
      for (const ask of [() => logIn(client), () => client.refresh(refreshToken as string, 'ada')])
        if (isAccepted) expect((await ask()).claims).toMatchObject({ sub: 'ada' })
        else await expect(ask()).rejects.toMatchObject({ name: 'LoginRefused', declined: false })
    })
  })

  it('an access token is never a login: it is for an API', async () => {
    const client = clientOf(provider.issuer)
    provider.tricks = { idToken: (honest) => ({ ...honest, aud: 'https://webui' }) }
    await expect(logIn(client)).rejects.toMatchObject({
      code: 'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
      message: 'unexpected JWT "aud" (audience) claim value',
    })
  })

  it('an ID token may have the claims of the access token, as with mock-oauth2-server and authentik', async () => {
    const client = clientOf(provider.issuer)
    provider.tricks = { idToken: (honest) => ({ ...honest, scope: 'read:data', client_id: 'web-ui' }) }
    const { refreshToken, claims } = await logIn(client)
    expect(claims).toMatchObject({ sub: 'ada', scope: 'read:data' })
    expect(await client.refresh(refreshToken as string, 'ada')).toMatchObject({ claims: { sub: 'ada' } })
  })

  describe('UserInfo', () => {
    const unnamed = () => {
      provider.tricks.idToken = (claims) => ({ ...claims, name: undefined, nickname: undefined })
    }
    it('is asked once, if the ID token has no name, for what pages show', async () => {
      unnamed()
      provider.tricks.userInfo = () => ({
        status: 200,
        type: 'application/json',
        body: JSON.stringify({ sub: 'ada', name: 'Ada Okafor', roles: ['admin'], iss: 'https://mallory' }),
      })
      const before = provider.userInfoAsked.length
      const { claims, accessToken } = await logIn(clientOf(provider.issuer))
      expect(claims).toMatchObject({ sub: 'ada', name: 'Ada Okafor', iss: provider.issuer })
      expect(claims).not.toHaveProperty('roles')
      expect(provider.userInfoAsked.slice(before)).toEqual([`Bearer ${accessToken}`])
    })

    it.each(['', null, 7])('replaces the name %p of the ID token, but no usable claim', async (name) => {
      const picture = 'https://pictures.example/ada'
      provider.tricks.idToken = (claims) => ({ ...claims, name, nickname: undefined, picture })
      provider.tricks.userInfo = () => ({
        status: 200,
        type: 'application/json',
        body: JSON.stringify({ sub: 'ada', name: 'Ada Okafor', picture: 'https://mallory', email: '' }),
      })
      const { claims } = await logIn(clientOf(provider.issuer))
      expect(claims).toMatchObject({ sub: 'ada', name: 'Ada Okafor', picture })
    })

    it('is not asked if the ID token has one', async () => {
      const before = provider.userInfoAsked.length
      await logIn(clientOf(provider.issuer))
      expect(provider.userInfoAsked.length).toBe(before)
    })

    it.each([
      [200, 'application/json', '{"sub":"ben","name":"Ben"}', 'another sub'],
      [200, 'application/jwt', 'eyJ.eyJ.x', 'application/jwt'],
      [500, 'text/plain', 'away', 'it answered 500'],
      [200, 'application/json', '{', 'not JSON'],
      [200, 'application/json', '"x"', 'another sub'],
    ])('%s %s %s is ignored with a log line', async (status, type, body, reason) => {
      unnamed()
      provider.tricks.userInfo = () => ({ status, type, body })
      const { claims } = await logIn(clientOf(provider.issuer))
      expect(claims).toMatchObject({ sub: 'ada' })
      expect(claims).not.toHaveProperty('name')
      expect(lines.join('')).toContain(reason)
    })
  })

  describe('the authentication of the client', () => {
    let folder: string
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'hallpass-client-auth-'))
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))
    const asked = () => ({
      form: provider.tokenRequests.at(-1),
      authorization: provider.tokenHeaders.at(-1)?.authorization,
    })

    it('client_secret_basic encodes both parts as a form (RFC 6749 §2.3.1)', async () => {
      const secret = 'a b:c%+é'
      await logIn(clientOf(provider.issuer, { clientAuth: { method: undefined, secret } }))
      const basic = Buffer.from(asked().authorization?.slice(6) ?? '', 'base64').toString()
      expect(basic).toBe('web%2Dui:a+b%3Ac%25%2B%C3%A9')
      expect(asked().form).not.toHaveProperty('client_secret')
    })

    it('client_secret_post is used if the provider supports only that', async () => {
      provider.tricks = {
        metadata: (claims) => ({ ...claims, token_endpoint_auth_methods_supported: ['client_secret_post'] }),
      }
      await logIn(clientOf(provider.issuer, { clientAuth: { method: undefined, secret: 's3cret' } }))
      expect(asked()).toMatchObject({
        form: { client_id: 'web-ui', client_secret: 's3cret' },
        authorization: undefined,
      })
    })

    it('none sends only the client ID and the code verifier', async () => {
      await logIn(clientOf(provider.issuer, { clientAuth: { method: 'none' } }))
      expect(asked()).toMatchObject({
        form: { client_id: 'web-ui', code_verifier: expect.any(String) },
        authorization: undefined,
      })
    })

    it('private_key_jwt signs an assertion for the issuer, also at revocation', async () => {
      const keyFile = join(folder, 'key.pem')
      const key = await generateSigningKey('ES256')
      await writeFile(keyFile, exportPrivatePem(key), { mode: 0o600 })
      const client = clientOf(provider.issuer, {
        clientAuth: { method: 'private_key_jwt', keyFile, algorithm: 'ES256', keyId: 'my-key' },
      })
      const { refreshToken } = await logIn(client)
      await client.revoke(refreshToken as string)
      const forms = [asked().form, provider.revocations.at(-1)]
      const ids = forms.map((form) => {
        expect(form).toMatchObject({
          client_id: 'web-ui',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        })
        const { header, payload } = parseCompact(form?.client_assertion as string)
        expect(header).toMatchObject({ alg: 'ES256', kid: 'my-key', typ: 'JWT' })
        expect(payload).toMatchObject({ iss: 'web-ui', sub: 'web-ui', aud: provider.issuer })
        return payload.jti
      })
      expect(new Set(ids).size).toBe(2)
    })

    it.each([
      ['spiffe_jwt', 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'],
      ['kubernetes', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'],
    ] as const)('%s sends the token in the file, and a renewed one', async (method, type) => {
      const assertionFile = join(folder, method)
      const client = clientOf(provider.issuer, { clientAuth: { method, assertionFile } })
      for (const assertion of ['first', 'second']) {
        await writeFile(assertionFile, `${assertion}\n`)
        clock.advance(10_001)
        await logIn(client)
        expect(asked().form).toMatchObject({
          client_id: 'web-ui',
          client_assertion_type: type,
          client_assertion: assertion,
        })
      }
    })
  })

  describe('a credential of this client that cannot be used', () => {
    const path = join(tmpdir(), 'hallpass-no-such-credential')
    it.each([
      ['CLIENT_KEY_FILE', { method: 'private_key_jwt', keyFile: path, algorithm: 'ES256', keyId: undefined }],
      ['CLIENT_ASSERTION_FILE', { method: 'kubernetes', assertionFile: path }],
    ] as const)('%s: is a fault of this service, whose message has no path', async (name, clientAuth) => {
      const client = clientOf(provider.issuer, { clientAuth })
      for (const ask of [() => logIn(client), () => client.refresh('r', 'ada'), () => client.revoke('r')])
        await expect(ask()).rejects.toMatchObject({
          name: 'HttpError',
          status: 503,
          code: 'client_credential_unavailable',
          message:
            'The web UI cannot authenticate to the identity provider now, because its own credential is missing or invalid. Its log has the reason.',
          cause: {
            message: expect.stringMatching(
              `^${name} ${path} cannot be used: ENOENT: .*\\. Create the file, correct the name, or give this user access\\.$`,
            ),
          },
        })
    })

    it('is also an empty file', async () => {
      const assertionFile = join(await mkdtemp(join(tmpdir(), 'hallpass-empty-')), 'token')
      await writeFile(assertionFile, '\n')
      const client = clientOf(provider.issuer, { clientAuth: { method: 'spiffe_jwt', assertionFile } })
      await expect(logIn(client)).rejects.toMatchObject({
        code: 'client_credential_unavailable',
        cause: { message: expect.stringContaining('it is empty') },
      })
      await rm(dirname(assertionFile), { recursive: true })
    })
  })

  describe('the parameters that name the API', () => {
    it('audience goes to the authorization endpoint, resource to both, each only if it is set', async () => {
      await logIn(clientOf(provider.issuer, { audience: 'https://api' }))
      expect(provider.authorizations.at(-1)?.get('audience')).toBe('https://api')
      expect(provider.authorizations.at(-1)?.has('resource')).toBe(false)
      expect(provider.tokenRequests.at(-1)).not.toHaveProperty('resource')
      await logIn(clientOf(provider.issuer, { resource: 'urn:api' }))
      expect(provider.authorizations.at(-1)?.get('resource')).toBe('urn:api')
      expect(provider.authorizations.at(-1)?.has('audience')).toBe(false)
      expect(provider.tokenRequests.at(-1)).toMatchObject({ resource: 'urn:api' })
    })
  })
})

describe('the issuer', () => {
  it('with a path and a trailing slash logs in', async () => {
    const { issuer } = await startProvider('/o/app/')
    expect(issuer).toMatch(/\/o\/app\/$/)
    expect((await logIn(clientOf(issuer))).claims).toMatchObject({ iss: issuer, sub: 'ada' })
    await expect(logIn(clientOf(issuer.slice(0, -1)))).rejects.toMatchObject({
      status: 502,
      code: 'peer_unexpected_answer',
      message: expect.stringContaining(
        `says in ${issuer}.well-known/openid-configuration that its issuer is "${issuer}"; set ISSUER_BASE_URL to exactly that`,
      ),
    })
  })

  it('without a path may have a slash or not', async () => {
    const { issuer } = await startProvider()
    expect((await logIn(clientOf(`${issuer}/`))).claims).toMatchObject({ iss: issuer })
  })

  it('may have another address for this service', async () => {
    const provider = await startProvider('/o/app')
    const origin = new URL(provider.issuer).origin
    const issuer = 'https://login.example.com/o/app'
    const front = (url: unknown) => String(url).replace(origin, 'https://login.example.com')
    provider.tricks = {
      metadata: (metadata) =>
        Object.fromEntries(
          Object.entries(metadata).map(([name, value]) => [
            name,
            typeof value === 'string' ? front(value) : value,
          ]),
        ),
      idToken: (claims) => ({ ...claims, iss: issuer }),
      redirect: (parameters) => parameters.set('iss', issuer),
    }
    const client = clientOf(issuer, { backChannelUrl: provider.issuer })
    const { url, attempt } = await client.begin('/')
    expect(url.origin).toBe('https://login.example.com')
    const answer = await fetch(url.href.replace('https://login.example.com', origin), { redirect: 'manual' })
    const query = new URL(answer.headers.get('location') as string).search.slice(1)
    expect((await client.finish(query, attempt)).claims).toMatchObject({ iss: issuer, sub: 'ada' })
  })

  it('may have another key set', async () => {
    const provider = await startProvider()
    const jwksUrl = `${provider.issuer}/jwks`
    provider.tricks = { metadata: (metadata) => ({ ...metadata, jwks_uri: 'http://127.0.0.1:1/jwks' }) }
    expect((await logIn(clientOf(provider.issuer, { jwksUrl }))).claims).toMatchObject({ sub: 'ada' })
  })

  it('on this machine must not name unencrypted endpoints on the network', async () => {
    const provider = await startProvider()
    for (const name of [
      'jwks_uri',
      'token_endpoint',
      'userinfo_endpoint',
      'revocation_endpoint',
      // The browser would send the ID token there (`id_token_hint`).
      'end_session_endpoint',
      'authorization_endpoint',
    ]) {
      provider.tricks = { metadata: (metadata) => ({ ...metadata, [name]: 'http://idp.example/x' }) }
      await expect(clientOf(provider.issuer).begin('/')).rejects.toMatchObject({
        code: 'peer_unexpected_answer',
        message: expect.stringContaining(`names an unencrypted ${name} on the network`),
      })
    }
  })

  describe.each(['authorization_endpoint', 'end_session_endpoint'])('whose %s', (name) => {
    it.each([
      ['http://login.example.com/x', 'names an unencrypted NAME'],
      ['http://localhost/x', 'names an unencrypted NAME'],
      ['javascript:alert(1)', 'has no valid NAME'],
      ['ftp://login.example.com/x', 'has no valid NAME'],
    ])('is %s under an https name is at fault until it is mended', async (url, message) => {
      const provider = await startProvider()
      const issuer = 'https://login.example.com'
      const honest = { issuer, authorization_endpoint: `${issuer}/authorize` }
      provider.tricks = { metadata: (metadata) => ({ ...metadata, ...honest, [name]: url }) }
      const client = clientOf(issuer, { backChannelUrl: provider.issuer })
      await expect(client.begin('/')).rejects.toMatchObject({
        status: 502,
        code: 'peer_unexpected_answer',
        message: expect.stringContaining(message.replace('NAME', name)),
      })
      const end_session_endpoint = `${issuer}/end`
      provider.tricks = { metadata: (metadata) => ({ ...metadata, ...honest, end_session_endpoint }) }
      expect((await client.begin('/')).url.href).toContain(`${issuer}/authorize?`)
    })
  })

  it('may have no endpoint that is not required, or null', async () => {
    const provider = await startProvider()
    provider.tricks = {
      metadata: (metadata) => ({ ...metadata, end_session_endpoint: null, revocation_endpoint: undefined }),
    }
    expect((await clientOf(provider.issuer).begin('/')).url.href).toContain(provider.issuer)
  })
})
