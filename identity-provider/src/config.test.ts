import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('the configuration', () => {
  it('rejects production without a reason in ALLOW_PRODUCTION', () => {
    expect(() => loadConfig({ NODE_ENV: 'production' })).toThrow(
      /lets anyone log in as any user, so it is only for development/,
    )
    const told = loadConfig({ NODE_ENV: 'production', ALLOW_PRODUCTION: 'a demo on a private network' })
    expect(told.production).toBe(true)
  })

  it('requires the keys and the secret that the replicas share with REDIS_URL', () => {
    expect(() => loadConfig({ REDIS_URL: 'redis://localhost' })).toThrow(
      /KEYS_FILE is required with REDIS_URL: a file with the signing keys, [\s\S]*COOKIE_SECRET_FILE is required with REDIS_URL/,
    )
    expect(
      loadConfig({ REDIS_URL: 'redis://localhost', KEYS_FILE: '/k', COOKIE_SECRET_FILE: '/c' }),
    ).toMatchObject({
      keysFile: '/k',
      cookieSecretFile: '/c',
      store: { redis: { url: 'redis://localhost' } },
    })
  })
})
