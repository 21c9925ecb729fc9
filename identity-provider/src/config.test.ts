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
})
