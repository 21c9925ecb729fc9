import { freePort } from '@hallpass/free-ports'
import { createLog, silentLog } from '@hallpass/service-kit'
import { publicJwks, type SigningKey } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp, loadConfig } from '../app.ts'
import { type FakeProvider, fakeProvider } from '../testing/fake-provider.ts'

describe('login at the gateway', () => {
  let provider: FakeProvider
  const lines: string[] = []
  const webUi = async (env: Record<string, string> = {}) =>
    (
      await createApp(
        loadConfig({
          ASSETS_FOLDER: 'web-ui/public',
          ISSUER_BASE_URL: provider.state.issuer,
          AUTH0_CLIENT_ID: 'web-ui',
          BACKEND_SERVICE_URL: 'http://localhost:1',
          SECOND_BACKEND_SERVICE_URL: 'http://localhost:1',
          ...env,
        }),
        createLog('web-ui', 'debug', { write: (line) => void lines.push(line) }),
      )
    ).app
  const get = async (path: string, headers: Record<string, string>, env?: Record<string, string>) =>
    request(await webUi(env))
      .get(path)
      .set('accept', 'text/html')
      .set(headers)
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

  beforeAll(async () => {
    provider = await fakeProvider({ port: await freePort() })
    await provider.start()
  })
  afterAll(() => provider.stop())

  it('shows the user of the gateway after verifying the token', async () => {
    const picture = 'https://pictures.example/ada.png'
    const answer = await get('/profile', {
      jwt: await provider.state.idToken({ picture }),
      'x-name': 'Ada Okafor',
      'x-nickname': 'ada',
      'x-picture': picture,
    })
    expect(answer.status).toBe(200)
    expect(answer.text).toContain('Ada Okafor')
    expect(answer.text).toContain(`src="${picture}"`)
    expect(answer.headers['content-security-policy']).toContain("img-src 'self' https://pictures.example;")
    expect(answer.text).toContain('href="/logout"')
  })

  it('decodes a non-ASCII name as gateways send it', async () => {
    const name = 'Zoë Šimić'
    const headers = {
      jwt: await provider.state.idToken({ name }),
      'x-name': Buffer.from(name).toString('latin1'),
    }
    const answer = await get('/profile', headers)
    expect([answer.status, answer.text]).toEqual([200, expect.stringContaining(name)])
  })

  it('tolerates a provider whose clock differs by 2 s, but not by 10 s', async () => {
    for (const [aheadMs, status] of [
      [2_000, 200],
      [-602_000, 200],
      [10_000, 401],
      [-610_000, 401],
    ] as const) {
      provider.state.tricks = { aheadMs }
      const answer = await get('/profile', { jwt: await provider.state.idToken() })
      expect([aheadMs, answer.status]).toEqual([aheadMs, status])
    }
    provider.state.tricks = {}
  })

  it('accepts a list of audiences with this client, and its azp (OpenID Connect Core §3.1.3.7)', async () => {
    for (const [aud, azp, status] of [
      [['web-ui'], undefined, 200],
      [['web-ui', 'gateway'], 'web-ui', 200],
      [['web-ui', 'gateway'], undefined, 401],
      [['web-ui', 'gateway'], 'gateway', 401],
      ['web-ui', 'gateway', 401],
    ] as const) {
      const answer = await get('/profile', { jwt: await provider.state.idToken({ aud, azp }) })
      expect([aud, azp, answer.status]).toEqual([aud, azp, status])
    }
  })

  it('is 502, not 401, when the issuer has no usable key', async () => {
    const jwt = await provider.state.idToken()
    provider.state.tricks = { keySet: { keys: [{ kty: 'OKP', crv: 'Ed448', kid: 'k', x: 'AA' }] } }
    const answer = await get('/profile', { jwt })
    provider.state.tricks = {}
    expect([answer.status, answer.text]).toEqual([502, expect.stringContaining('keys_unusable')])
  })

  it('uses the good keys of a set that has others too', async () => {
    const { keys } = publicJwks([provider.state.key as SigningKey])
    provider.state.tricks = { keySet: { keys: [...keys, { kty: 'OKP', crv: 'Ed448', kid: 'k', x: 'AA' }] } }
    const answer = await get('/profile', { jwt: await provider.state.idToken() })
    provider.state.tricks = {}
    expect(answer.status).toBe(200)
    expect(lines.join('')).toContain('published keys left out')
  })

  it('reports a missing identity on a page and keeps running', async () => {
    const app = await webUi()
    const answer = await request(app).get('/profile').set('accept', 'text/html')
    expect([answer.status, answer.text]).toEqual([
      401,
      expect.stringContaining('The gateway sent no identity'),
    ])
    expect((await request(app).get('/')).status).toBe(200)
  })

  it('has no login of its own and links only to existing pages', async () => {
    expect((await get('/login', {})).status).toBe(404)
    const { text } = await get('/', {})
    expect(text).not.toContain('Log in')
    const navigation = /<nav[\s\S]*<\/nav>/.exec(text)?.[0] ?? ''
    const paths = [...navigation.matchAll(/href="([^"]+)"/g)].map(([, path]) => path as string)
    expect(paths).toContain('/decoder')
    for (const path of paths) expect([path, (await get(path, {})).status]).not.toEqual([path, 404])
  })

  it('is 502 when the issuer’s keys cannot be fetched', async () => {
    const jwt = await provider.state.idToken()
    expect((await get('/profile', { jwt }, { ISSUER_BASE_URL: 'http://localhost:1' })).status).toBe(502)
  })

  describe('AL-26: forged identity headers', () => {
    const forgeries: [what: string, headers: () => Promise<Record<string, string>>, reason: RegExp][] = [
      [
        'an unsigned token',
        async () => ({
          jwt: `${encode({ alg: 'none' })}.${encode({ sub: 'mallory', name: 'Mallory the CEO' })}.`,
          'x-name': 'Mallory the CEO',
        }),
        /jwt signature is required/,
      ],
      [
        'a name without a token',
        async () => ({ 'x-name': 'Mallory the CEO' }),
        /x-name came without a token/,
      ],
      [
        'another name than in the token',
        async () => ({ jwt: await provider.state.idToken(), 'x-name': 'Mallory the CEO' }),
        /x-name differs from the token/,
      ],
      [
        'a picture that the token does not have',
        async () => ({ jwt: await provider.state.idToken(), 'x-picture': 'https://evil.example/p.png' }),
        /x-picture differs from the token/,
      ],
      [
        'a token for another client',
        async () => ({ jwt: await provider.state.idToken({ aud: 'somebody-else' }) }),
        /jwt audience invalid/,
      ],
      [
        'a token of another issuer',
        async () => ({ jwt: await provider.state.idToken({ iss: 'https://mallory.example' }) }),
        /jwt issuer invalid/,
      ],
      ['an access token', async () => ({ jwt: await provider.state.idToken({}, { typ: 'at+jwt' }) }), /typ/],
      [
        'an access token that is typed as any other',
        async () => ({ jwt: await provider.state.idToken({ scope: 'read:data' }) }),
        /jwt is not an id token/,
      ],
      [
        'an expired token',
        async () => ({ jwt: await provider.state.idToken({}, { lifetimeSeconds: -60 }) }),
        /jwt expired/,
      ],
      [
        'two tokens',
        async () => ({ jwt: `${await provider.state.idToken()}, ${await provider.state.idToken()}` }),
        /./,
      ],
      ['a malformed token', async () => ({ jwt: 'Mallory' }), /jwt malformed/],
    ]

    it.each(forgeries)('rejects %s', async (_what, headers, reason) => {
      for (const path of ['/', '/profile']) {
        const answer = await get(path, await headers())
        expect([answer.status, answer.text]).toEqual([401, expect.stringMatching(reason)])
        expect(answer.text).not.toContain('Mallory the CEO')
      }
    })

    it('rejects a token signed by another key', async () => {
      provider.state.tricks = {
        idTokenKey: { ...testKey('RS256', 'stranger'), kid: provider.state.key?.kid as string },
      }
      const answer = await get('/profile', { jwt: await provider.state.idToken() })
      provider.state.tricks = {}
      expect([answer.status, answer.text]).toEqual([401, expect.stringContaining('invalid signature')])
    })

    it('accepts no identity while no issuer is configured', async () => {
      const { app } = await createApp(loadConfig({ ASSETS_FOLDER: 'web-ui/public' }), silentLog)
      const answer = await request(app)
        .get('/profile')
        .set('jwt', await provider.state.idToken())
      expect([answer.status, answer.body.error.code]).toEqual([401, 'identity_not_verified'])
    })

    it('logs each rejection, without the token', () => {
      const log = lines.join('')
      expect(log).toContain('identity header rejected: x-name differs from the token')
      expect(log).toContain('"reason":"signature_invalid"')
      expect(log).not.toContain('eyJ')
    })
  })
})
