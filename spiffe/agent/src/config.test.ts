import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('loadConfig', () => {
  it('knows workloads by their sockets when nothing is said', () => {
    expect(loadConfig({})).toMatchObject({ attestation: 'socket', trustDomain: 'example.org', port: 8446 })
  })

  it('gives identities to anybody on a development start on loopback alone, and says which', () => {
    expect(() => loadConfig({ ATTESTATION: 'insecure-any' })).toThrow('INSECURE_ANY_IDS must say which')
    const env = { ATTESTATION: 'insecure-any', INSECURE_ANY_IDS: 'spiffe://example.org/a' }
    expect(loadConfig(env).insecureAnyIds).toEqual(['spiffe://example.org/a'])
    for (const more of [{ NODE_ENV: 'production' }, { HOST: '0.0.0.0' }])
      expect(() => loadConfig({ ...env, ...more })).toThrow('for a development start on loopback alone')
  })

  it('names every variable that is wrong at once', () => {
    expect(() =>
      loadConfig({ TRUST_DOMAIN: 'Example.org', X509_TTL_SECONDS: '1', JWT_ALGORITHM: 'HS256' }),
    ).toThrow(
      /TRUST_DOMAIN must be a name like example\.org[\s\S]*X509_TTL_SECONDS|X509_TTL_SECONDS[\s\S]*JWT_ALGORITHM[\s\S]*/,
    )
  })
})
