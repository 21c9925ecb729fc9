import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { runCli } from './testing/run-cli.ts'

describe('hallpass', () => {
  it('runs from any folder', async () => {
    const bin = join(import.meta.dirname, '../bin/hallpass.js')
    const { stdout } = await promisify(execFile)(process.execPath, [bin, 'token', '--help'], { cwd: '/' })
    expect(stdout).toMatch(/^Usage: hallpass token/)
  })

  it('has help, and so does each command', async () => {
    const { exitCode, out } = await runCli(['--help'])
    expect(exitCode).toBe(0)
    const commands = [...out.matchAll(/^ {2}(\w+) .*(?:\[|<)/gm)].map(([, name]) => name as string)
    expect(commands).toEqual(expect.arrayContaining(['token', 'publish', 'listen', 'scenario']))
    for (const command of commands)
      expect(await runCli([command, '--help'])).toMatchObject({
        exitCode: 0,
        err: '',
        out: expect.stringContaining('Options:'),
      })
  })

  it.each([[[]], [['nope']]])('exits with 2 for %j and refers to the help', async (args) => {
    const { exitCode, err } = await runCli(args)
    expect([exitCode, /--help|Usage/.test(err)]).toEqual([2, true])
  })
})
