import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('the configuration of jwt-factory', () => {
  it('is open in development mode on loopback', () => {
    expect(loadConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 5555,
      issuer: 'https://jwt-factory/',
      callers: { mode: 'open' },
    })
  })

  it('rejects CALLERS=open where other machines could reach it', () => {
    for (const env of [{ HOST: '0.0.0.0' }, { NODE_ENV: 'production' }])
      expect(() => loadConfig({ ...env, CALLERS: 'open' })).toThrow(
        'CALLERS=open disables caller authentication',
      )
  })

  it('names every invalid variable in one error', () => {
    expect(() => loadConfig({ PORT: 'x', ALGORITHM: 'HS256', TOKEN_LIFETIME_SECONDS: '86400' })).toThrow(
      /ALGORITHM must be one of RS256, PS256, ES256, EdDSA.*\n.*PORT must be.*\n.*TOKEN_LIFETIME_SECONDS must be/,
    )
  })

  it('needs a key-encryption key for Redis in production, where replicas share no folder', () => {
    const env = {
      REDIS_URL: 'rediss://:secret@redis',
      NODE_ENV: 'production',
      MESH: 'istio',
      TRUSTED_CALLERS_FILE: 'callers.yaml',
    }
    expect(() => loadConfig(env)).toThrow('KEY_ENCRYPTION_KEY_FILE or KEY_ENCRYPTION_KMS_KEY_ID is required')
    const kms = { KEY_ENCRYPTION_KMS_KEY_ID: 'alias/issuer', AWS_REGION: 'eu-central-1' }
    expect(loadConfig({ ...env, ...kms }).signers).toMatchObject({ signer: 'wrapped' })
    expect(loadConfig({ REDIS_URL: 'redis://localhost' }).signers).toMatchObject({
      keyEncryption: { file: '.hallpass/key-encryption.key', create: true },
    })
  })
})
