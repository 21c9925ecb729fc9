import { ConfigError, commonConfig, type Environment, readConfig } from '@hallpass/service-kit'
import { describe, expect, it } from '@jest/globals'
import { callersConfig } from './config.ts'

const read = (env: Environment) =>
  readConfig(env, (variables) => callersConfig(variables, commonConfig(variables)))

function problemsOf(env: Environment): readonly string[] {
  try {
    read(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('callersConfig', () => {
  it('is open in development mode, which binds loopback', () => {
    expect(read({})).toEqual({ mode: 'open' })
    expect(read({ HOST: '::1' })).toEqual({ mode: 'open' })
  })

  it('rejects CALLERS=open on an address that other machines can reach', () => {
    for (const HOST of ['0.0.0.0', '::', '192.168.1.5', 'example.org', '127.0.0.1.example.org'])
      expect(problemsOf({ HOST, CALLERS: 'open' })).toEqual([
        `CALLERS=open disables caller authentication, so it needs a loopback HOST (it is ${HOST}) and a NODE_ENV other than production`,
      ])
  })

  it('rejects CALLERS=open in production, even on loopback', () => {
    expect(problemsOf({ NODE_ENV: 'production', HOST: '127.0.0.1', CALLERS: 'open' })).toEqual([
      expect.stringContaining('NODE_ENV other than production'),
    ])
  })

  it('requires the trusted-callers file unless it is open', () => {
    for (const env of [{ NODE_ENV: 'production' }, { HOST: '0.0.0.0' }, { CALLERS: 'authenticated' }])
      expect(problemsOf(env)).toEqual([expect.stringContaining('TRUSTED_CALLERS_FILE is required')])
    expect(read({ NODE_ENV: 'production', TRUSTED_CALLERS_FILE: '/etc/callers.yaml' })).toEqual({
      mode: 'authenticated',
      trustFile: '/etc/callers.yaml',
      leewaySeconds: 5,
      requiresTls: true,
      inMesh: false,
    })
  })

  it('is closed without the file where that is allowed', () => {
    const closed = (env: Environment) =>
      readConfig(env, (variables) =>
        callersConfig(variables, commonConfig(variables), { whenUnnamed: 'closed' }),
      )
    expect(closed({ HOST: '0.0.0.0' })).toEqual({ mode: 'closed' })
    expect(closed({})).toEqual({ mode: 'open' })
  })
})
