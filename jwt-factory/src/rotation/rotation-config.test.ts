import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { describe, expect, it } from '@jest/globals'
import { rotationConfig } from './rotation-config.ts'

const read = (env: Environment) => readConfig(env, (v) => rotationConfig(v, commonConfig(v)))

describe('rotationConfig', () => {
  it('rotates no key by default, and publishes keys 22 minutes before they sign', () => {
    expect(read({})).toEqual({ everyMs: undefined, publishAheadMs: 1_320_000 })
  })

  it('reads hours and days', () => {
    expect(read({ ROTATE_EVERY: '24h', NODE_ENV: 'production' }).everyMs).toBe(86_400_000)
    expect(read({ ROTATE_EVERY: '7d', NODE_ENV: 'production' }).everyMs).toBe(604_800_000)
  })

  it('lets a rotation be watched in development', () => {
    expect(read({ ROTATE_EVERY: '20s', PUBLISH_AHEAD_SECONDS: '5' })).toEqual({
      everyMs: 20_000,
      publishAheadMs: 5_000,
    })
  })

  it('rejects times in which verifiers cannot learn of a key', () => {
    expect(() => read({ ROTATE_EVERY: '1h' })).toThrow(
      'ROTATE_EVERY must be at least four times PUBLISH_AHEAD_SECONDS (1320 s), the time that verifiers need to load a new key',
    )
    expect(() => read({ ROTATE_EVERY: '5s', PUBLISH_AHEAD_SECONDS: '5', NODE_ENV: 'production' })).toThrow(
      /ROTATE_EVERY must be a duration from 10s to 365d[\s\S]*PUBLISH_AHEAD_SECONDS must be an integer from 420 to 86400/,
    )
  })
})
