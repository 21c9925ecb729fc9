import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('loadConfig', () => {
  it('has the documented ports, loopback and open publishing in development mode', () => {
    expect(loadConfig({})).toMatchObject({
      host: '127.0.0.1',
      tcpPort: 7001,
      httpPort: 8001,
      guard: undefined,
      redis: undefined,
    })
  })

  it('requires an issuer and an audience in production, and allows open publishing only on this machine', () => {
    expect(() => loadConfig({ NODE_ENV: 'production' })).toThrow(/ISSUER is required\n.*AUDIENCE is required/)
    expect(() => loadConfig({ HOST: '0.0.0.0' })).toThrow(
      'PUBLISHERS=open does not authenticate publishers, so HOST must be a loopback address, but is "0.0.0.0"',
    )
    expect(() => loadConfig({ NODE_ENV: 'production', HOST: '127.0.0.1', PUBLISHERS: 'open' })).toThrow(
      'PUBLISHERS=open does not authenticate publishers, so it is not allowed in production',
    )
    expect(
      loadConfig({ NODE_ENV: 'production', MESH: 'istio', ISSUER: 'https://i', AUDIENCE: 'a' }).guard,
    ).toMatchObject({
      issuer: 'https://i',
      audience: 'a',
    })
  })

  it('reports every invalid variable', () => {
    expect(() =>
      loadConfig({ REDIS_URL: 'http://x', CERT_FILE: 'c', TCP_PORT: '70000', INPUT: 'udp' }),
    ).toThrow(
      expect.objectContaining({
        problems: expect.arrayContaining([
          'REDIS_URL must be a redis or rediss URL',
          'CERT_FILE and KEY_FILE must be set together',
          'TCP_PORT must be an integer from 0 to 65535, but is "70000"',
          'INPUT must be one of tcp, stdin, but is "udp"',
        ]),
      }),
    )
  })
})
