import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'
import { loadSecrets } from './login/index.ts'

const LOGIN = {
  SHOULD_AUTHENTICATE: 'true',
  ISSUER_BASE_URL: 'https://dev-1.eu.auth0.com/',
  AUTH0_CLIENT_ID: 'client',
  AUTH0_SECRET: 'secret',
  RANDOM_SECRET: 'x'.repeat(44),
  AUDIENCE: 'https://webui',
  BASE_URL: 'https://webuitest.com',
  BACKEND_SERVICE_URL: 'http://backend-api',
  SECOND_BACKEND_SERVICE_URL: 'http://second-backend-api',
}

describe('the configuration', () => {
  it('reads the documented variables', () => {
    expect(loadConfig({ ...LOGIN, NODE_ENV: 'production', MESH: 'istio' })).toMatchObject({
      baseUrl: 'https://webuitest.com',
      backendUrl: 'http://backend-api',
      secondBackendUrl: 'http://second-backend-api',
      login: {
        provider: { issuerUrl: 'https://dev-1.eu.auth0.com/', clientId: 'client' },
        clientSecret: { text: 'secret' },
        request: { audience: 'https://webui', resource: undefined },
      },
    })
  })

  it('SHOULD_AUTHENTICATE=false means false', () => {
    expect(loadConfig({ SHOULD_AUTHENTICATE: 'false' }).login).toBeUndefined()
    expect(loadConfig({}).login).toBeUndefined()
    expect(() => loadConfig({ SHOULD_AUTHENTICATE: 'nope' })).toThrow(/must be true or false/)
  })

  it('reports all missing variables of the login together', () => {
    expect(() => loadConfig({ SHOULD_AUTHENTICATE: 'true', NODE_ENV: 'production' })).toThrow(
      /RANDOM_SECRET or RANDOM_SECRET_FILE is required in production[\s\S]*AUTH0_SECRET or AUTH0_SECRET_FILE[\s\S]*ISSUER_BASE_URL is required[\s\S]*AUTH0_CLIENT_ID is required/,
    )
  })

  it('AL-39: rejects an http URL, except on localhost or with INSECURE_COOKIES', () => {
    const env = { ...LOGIN, BASE_URL: 'http://webuitest.com' }
    expect(() => loadConfig(env)).toThrow(/BASE_URL must be https/)
    expect(loadConfig({ ...env, INSECURE_COOKIES: 'true' }).insecureCookies).toBe(true)
    expect(loadConfig({ ...LOGIN, BASE_URL: 'http://localhost:4000' }).insecureCookies).toBe(false)
  })

  it('has the explorer in development mode, and in production only with EXPLORER=true', () => {
    expect(loadConfig({}).explorer.isOn).toBe(true)
    expect(loadConfig({ ...LOGIN, NODE_ENV: 'production', MESH: 'istio' }).explorer.isOn).toBe(false)
    expect(
      loadConfig({ ...LOGIN, NODE_ENV: 'production', MESH: 'istio', EXPLORER: 'true' }).explorer.isOn,
    ).toBe(true)
  })

  it('requires a secret that the replicas share with REDIS_URL', () => {
    const { RANDOM_SECRET: _, ...env } = { ...LOGIN, REDIS_URL: 'redis://localhost' }
    expect(() => loadConfig(env)).toThrow(
      'RANDOM_SECRET or RANDOM_SECRET_FILE is required with REDIS_URL, the same for all replicas: it encrypts the sessions; ' +
        'openssl rand -base64 32 prints such a secret',
    )
    expect(loadConfig({ ...env, RANDOM_SECRET_FILE: '/shared/secret' }).login).toMatchObject({
      randomSecretFile: '/shared/secret',
      store: { redis: { url: 'redis://localhost' } },
    })
    expect(loadConfig({ ...LOGIN, STATE_FOLDER: '/state' }).login?.store).toEqual({
      redis: undefined,
      storeFolder: '/state/web-ui/sessions',
    })
  })

  it.each([
    ['SCOPE', 'profile email', 'SCOPE must contain openid, or there is no ID token, but is "profile email"'],
    ['SCOPE', 'openid,email', 'SCOPE must contain openid, or there is no ID token, but is "openid,email"'],
    ['GATEWAY_LOGOUT_PATH', '//evil.example', 'GATEWAY_LOGOUT_PATH must be a path, but is "//evil.example"'],
    [
      'GATEWAY_LOGOUT_PATH',
      '/\\evil.example',
      'GATEWAY_LOGOUT_PATH must be a path, but is "/\\\\evil.example"',
    ],
    ['GATEWAY_LOGOUT_PATH', 'https://a/x', 'GATEWAY_LOGOUT_PATH must be a path, but is "https://a/x"'],
    ['GATEWAY_LOGOUT_PATH', 'logout', 'GATEWAY_LOGOUT_PATH must be a path, but is "logout"'],
    ['BASE_URL', 'https://web.example/?a=1', 'BASE_URL must have no query, fragment or credentials'],
    ['BASE_URL', 'https://web.example/?', 'BASE_URL must have no query, fragment or credentials'],
    ['BASE_URL', 'https://web.example/#a', 'BASE_URL must have no query, fragment or credentials'],
    ['BASE_URL', 'https://me:s@web.example', 'BASE_URL must have no query, fragment or credentials'],
  ])('rejects %s=%s', (name, value, problem) => {
    expect(() => loadConfig({ ...LOGIN, [name]: value })).toThrow(
      new Error(`Invalid configuration:\n  - ${problem}`),
    )
  })

  it.each(['/logout', '/oauth2/sign_out?rd=%2F'])('accepts the logout path %s of a gateway', (path) => {
    expect(loadConfig({ GATEWAY_LOGOUT_PATH: path }).gateway.logoutPath).toBe(path)
  })

  it('rejects a secret that could be guessed', () => {
    expect(() => loadConfig({ ...LOGIN, RANDOM_SECRET: 'secret' })).toThrow(/at least 32 characters/)
  })
})

describe('the secrets in files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-web-ui-secrets-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const { AUTH0_SECRET: _, RANDOM_SECRET: __, ...rest } = LOGIN
  const env = { ...rest, STATE_FOLDER: join(folder, 'state') }
  const production = { ...env, NODE_ENV: 'production', MESH: 'istio' }
  const file = (name: string, text: string, mode = 0o600) => {
    writeFileSync(join(folder, name), text, { mode })
    return join(folder, name)
  }
  const load = (values: Record<string, string>) => {
    const { login } = loadConfig(values)
    if (!login) throw new Error('There is no login.')
    return loadSecrets(login)
  }

  it('may be as short as the provider makes them', async () => {
    const AUTH0_SECRET_FILE = file('short', 'tiny secret\n')
    const { clientAuth } = await load({
      ...production,
      RANDOM_SECRET: LOGIN.RANDOM_SECRET,
      AUTH0_SECRET_FILE,
    })
    expect(clientAuth).toEqual({ method: undefined, secret: 'tiny secret' })
  })

  it.each([
    ['is missing', () => join(folder, 'nosuch'), 'does not exist'],
    ['is empty', () => file('empty', ' \n'), 'is empty'],
  ])('of the provider are never created where AUTH0_SECRET_FILE %s', (_what, make, problem) => {
    const AUTH0_SECRET_FILE = make()
    for (const values of [env, production])
      expect(() => load({ ...values, RANDOM_SECRET: LOGIN.RANDOM_SECRET, AUTH0_SECRET_FILE })).toThrow(
        `AUTH0_SECRET_FILE ${AUTH0_SECRET_FILE} ${problem}. Write the client secret that the provider has issued to it.`,
      )
    expect(existsSync(join(folder, 'nosuch'))).toBe(false)
    // It is not read if the secret is in AUTH0_SECRET, or if the client has none.
    expect(() => loadConfig({ ...env, AUTH0_SECRET: 's', AUTH0_SECRET_FILE })).not.toThrow()
    expect(() => loadConfig({ ...env, CLIENT_AUTH: 'none', AUTH0_SECRET_FILE })).not.toThrow()
  })

  it('of the suite are created in development mode', async () => {
    const secrets = await load(env)
    expect(secrets.clientAuth).toEqual({ method: undefined, secret: expect.stringMatching(/^\S{40,}$/) })
    expect(await load(env)).toEqual(secrets)
  })

  it('for the sessions are read in production too, and made at the first start', async () => {
    const values = { ...production, AUTH0_SECRET: 's', RANDOM_SECRET_FILE: join(folder, 'random') }
    const { random } = await load(values)
    expect(random).toMatch(/^\S{40,}$/)
    expect((await load(values)).random).toBe(random)
    expect(() => loadConfig({ ...values, RANDOM_SECRET_FILE: '' })).toThrow(
      'RANDOM_SECRET or RANDOM_SECRET_FILE is required in production, the same for all replicas: it encrypts the sessions; ' +
        'openssl rand -base64 32 prints such a secret',
    )
  })
})
