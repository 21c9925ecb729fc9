import { spawnSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { HELP } from './admin/command-line.ts'
import { AGENT_BUNDLE, bundleServices } from './testing/agent-process.ts'

beforeAll(bundleServices)

function agent(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [AGENT_BUNDLE, ...words], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH },
    // Stops an agent that starts by mistake.
    timeout: 5_000,
  })
  return { status, stdout, stderr }
}

describe('the command spiffe:agent', () => {
  it.each(['--help', '-h', 'help', 'entry add --help'])('shows its usage on %s', (words) =>
    expect(agent(...words.split(' '))).toEqual({ status: 0, stdout: HELP, stderr: '' }),
  )

  it.each([
    [['--no-such-option'], "Unknown option '--no-such-option'."],
    [['--insecure-any=spiffe://example.org/a', 'revoke'], "Unexpected argument 'revoke'."],
    [['dance'], "Unknown command 'dance'."],
    [['entry', 'list', '--colour'], "Unknown option '--colour'."],
  ])('exits with 2 on %j, and prints the problem and its usage', (words, problem) =>
    expect(agent(...words)).toEqual({
      status: 2,
      stdout: '',
      stderr: `spiffe-agent: ${problem}\n\n${HELP}`,
    }),
  )
})
