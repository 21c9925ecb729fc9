import { spawnSync } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'

it('prints why a service could not start as the last line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-run-'))
  const output = openSync(join(folder, 'output'), 'a')
  const module = (name: string) => JSON.stringify(join(import.meta.dirname, name))
  const program = `
    const { run } = await import(${module('run.ts')})
    const { commonConfig, readConfig } = await import(${module('config.ts')})
    const loadConfig = (env) =>
      readConfig(env, (variables) => ({ ...commonConfig(variables), httpsPort: variables.port('HTTPS_PORT', 1) }))
    run('a-service', { STATE_FOLDER: ${JSON.stringify(folder)}, HTTPS_PORT: '2' }, loadConfig, (_config, log) => {
      log.warn('unauthenticated')
      return { start: async () => { throw Object.assign(new Error(), { code: 'EADDRINUSE', port: 2 }) } }
    })`
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    stdio: ['ignore', output, output],
  })
  const lines = readFileSync(join(folder, 'output'), 'utf8').trim().split('\n')
  rmSync(folder, { recursive: true })
  expect([status, lines]).toEqual([
    69,
    [
      expect.stringContaining('unauthenticated'),
      'a-service: port 2 is in use by another process. Stop it (lsof -i :2), or choose another port with HTTPS_PORT',
    ],
  ])
})
