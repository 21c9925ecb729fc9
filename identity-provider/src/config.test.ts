import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('the configuration', () => {
  it('refuses production, unless told why', () => {
    expect(() => loadConfig({ NODE_ENV: 'production' })).toThrow(
      /lets anybody be anyone and is for development/,
    )
    const told = loadConfig({ NODE_ENV: 'production', ALLOW_PRODUCTION: 'a demo on a private network' })
    expect(told.production).toBe(true)
  })
})
