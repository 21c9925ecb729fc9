import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { HELP } from './test-options.js'

const script = join(import.meta.dirname, 'test.js')

describe('npm test', () => {
  it.each([
    [['--only'], "Option '--only <value>' argument missing"],
    [['--only', ''], '--only requires the name of a step. The steps are: lint, '],
    [['--only', 'lint,nope'], 'Step not found: nope. The steps are: lint, '],
    [['--nope'], "Unknown option '--nope'."],
    [['sse-gateway', '--bail'], "Unknown option '--bail'."],
    [['-t'], "Option '-t, --testNamePattern <value>' argument missing"],
    [['-t', ''], '-t requires a part of the name of a test.'],
  ])('%j exits with 2 and prints why, and its own help', (args, message) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr.slice(0, message.length)).toBe(message)
    expect(stderr).toContain(`\n\n${HELP}\n`)
  })

  it('prints its help', () => {
    expect(execFileSync(process.execPath, [script, '--help'], { encoding: 'utf8' })).toBe(`${HELP}\n`)
  })
})
