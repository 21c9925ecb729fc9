import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('the configuration of service A', () => {
  it('has the documented ports by default', () => {
    expect(loadConfig({})).toMatchObject({
      port: 3000,
      jwtFactoryUrl: 'http://localhost:5555',
      serviceBTlsUrl: 'https://localhost:8443',
      serviceCTlsUrl: 'https://localhost:9443',
    })
  })

  it('rejects a lifetime of one second, which would reject valid calls', () => {
    expect(() => loadConfig({ TOKEN_LIFETIME_SECONDS: '1' })).toThrow(
      'TOKEN_LIFETIME_SECONDS must be an integer from 5 to 60',
    )
  })

  it('allows key rotation only on loopback or to configured callers', () => {
    expect(loadConfig({ HOST: '0.0.0.0' }).callers).toEqual({ mode: 'closed' })
    expect(() => loadConfig({ HOST: '0.0.0.0', CALLERS: 'open' })).toThrow(
      'CALLERS=open disables caller authentication',
    )
  })
})
