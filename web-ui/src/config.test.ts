import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

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
        clientSecret: 'secret',
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
      /RANDOM_SECRET is required in production[\s\S]*AUTH0_SECRET or AUTH0_SECRET_FILE[\s\S]*ISSUER_BASE_URL is required[\s\S]*AUTH0_CLIENT_ID is required/,
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

  it('rejects a secret that could be guessed', () => {
    expect(() => loadConfig({ ...LOGIN, RANDOM_SECRET: 'secret' })).toThrow(/at least 32 characters/)
  })
})
