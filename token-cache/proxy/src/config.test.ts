import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('the issuer of callers’ tokens', () => {
  const bearer = { IDENTITY: 'bearer', CALLER_ISSUER: 'my-issuer' }

  it('is refused if its keys can neither be discovered nor are elsewhere', () => {
    expect(() => loadConfig(bearer)).toThrow(
      'CALLER_ISSUER must be an http or https URL without query, fragment, credentials, spaces and placeholders, because the keys are discovered at it, unless CALLER_JWKS_URL is set, but is "my-issuer"',
    )
    const found = loadConfig({ ...bearer, CALLER_JWKS_URL: 'https://keys.example/jwks' })
    expect([found.callerIssuer, found.callerJwksUrl]).toEqual(['my-issuer', 'https://keys.example/jwks'])
  })

  it('is needed only with IDENTITY=bearer', () => {
    expect(loadConfig({}).callerIssuer).toBe('none')
    expect(() => loadConfig({ IDENTITY: 'bearer' })).toThrow('CALLER_ISSUER is required')
  })
})
