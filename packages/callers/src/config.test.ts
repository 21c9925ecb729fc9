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
  it('is open on a development start, which binds loopback', () => {
    expect(read({})).toEqual({ mode: 'open' })
    expect(read({ HOST: '::1' })).toEqual({ mode: 'open' })
  })

  it('refuses to be open on an address that others reach', () => {
    for (const HOST of ['0.0.0.0', '::', '192.168.1.5', 'example.org', '127.0.0.1.example.org'])
      expect(problemsOf({ HOST, CALLERS: 'open' })).toEqual([
        `CALLERS=open serves whoever asks, so it needs a loopback HOST (it is ${HOST}) and NODE_ENV other than production`,
      ])
  })

  it('refuses to be open in production, even on loopback', () => {
    expect(problemsOf({ NODE_ENV: 'production', HOST: '127.0.0.1', CALLERS: 'open' })).toEqual([
      expect.stringContaining('NODE_ENV other than production'),
    ])
  })

  it('asks for the list of trusted callers wherever it is not open', () => {
    for (const env of [{ NODE_ENV: 'production' }, { HOST: '0.0.0.0' }, { CALLERS: 'authenticated' }])
      expect(problemsOf(env)).toEqual([expect.stringContaining('TRUSTED_CALLERS_FILE is required')])
    expect(read({ NODE_ENV: 'production', TRUSTED_CALLERS_FILE: '/etc/callers.yaml' })).toEqual({
      mode: 'authenticated',
      trustFile: '/etc/callers.yaml',
    })
  })

  it('is closed without a list where that is allowed', () => {
    const closed = (env: Environment) =>
      readConfig(env, (variables) =>
        callersConfig(variables, commonConfig(variables), { whenUnnamed: 'closed' }),
      )
    expect(closed({ HOST: '0.0.0.0' })).toEqual({ mode: 'closed' })
    expect(closed({})).toEqual({ mode: 'open' })
  })
})
