import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { useTestEnvironment } from './test-environment.js'

describe('the environment of the tests', () => {
  it('gives child processes no variable that changes what they print', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['-p', 'JSON.stringify(process.env)'])
    const names = Object.keys(JSON.parse(stdout) as object)
    expect(names.filter((name) => /^(FORCE_COLOR|TERM|GITHUB_|NODE_OPTIONS)/.test(name))).toEqual([])
  })

  it('keeps the variables that locate programs and packages', () => {
    const env: Record<string, string> = {
      PATH: '/bin',
      CI: 'true',
      FORCE_COLOR: '1',
      GITHUB_ACTIONS: 'true',
      LC_ALL: 'de_DE',
      LANG: 'C',
      npm_config_loglevel: 'silent',
      npm_config_registry: 'https://packages.example',
      npm_lifecycle_event: 'test',
    }
    useTestEnvironment(env)
    expect(env).toEqual({
      PATH: '/bin',
      CI: 'true',
      LANG: 'C.UTF-8',
      NO_COLOR: '1',
      npm_config_registry: 'https://packages.example',
    })
  })
})
