import { describe, expect, it } from '@jest/globals'
import { EnvironmentUnusable, requireEnvironment } from './require-environment.ts'

describe('requireEnvironment', () => {
  it.each([{}, { TOKEN_LIBRARY: '', REDIS_URL: '' }, { TOKEN_LIBRARY: 'jose', REDIS_URL: 'rediss://r:1' }])(
    'accepts %j',
    (env) => expect(() => requireEnvironment(env)).not.toThrow(),
  )

  it('reports every invalid variable with its valid values', () => {
    const env = { TOKEN_LIBRARY: 'jwt', REDIS_URL: 'localhost:6379' }
    expect(() => requireEnvironment(env)).toThrow(
      new EnvironmentUnusable(
        'TOKEN_LIBRARY: Unknown token library jwt; expected one of node-crypto, jsonwebtoken, jose, node-jose.\n' +
          'REDIS_URL must be a redis or rediss URL, e.g. redis://localhost:6379',
      ),
    )
  })
})
