import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type RunningAgent, startAgent } from '../testing/agent.ts'
import { HELP } from './command-line.ts'
import { runVerb } from './verbs.ts'

let agent: RunningAgent
beforeAll(async () => {
  agent = await startAgent()
})
afterAll(() => agent.stop())

const say = (words: string) => runVerb(words.split(' '), join(agent.folder, 'spiffe/admin.sock'))

describe('the commands', () => {
  it('list, add, revoke, restore and remove entries', async () => {
    expect(await say('entry list')).toMatch(/^server +spiffe:\/\/example\.org\/server +socket:server$/m)
    expect(
      await say(
        'entry add spiffe://example.org/a/worker --selector socket:worker --ttl 60 --dns w.example.org',
      ),
    ).toBe('added worker\n')
    expect((await agent.admin.entries()).at(-1)).toMatchObject({
      id: 'worker',
      spiffeId: 'spiffe://example.org/a/worker',
      selectors: ['socket:worker'],
      x509TtlSeconds: 60,
      dnsNames: ['w.example.org'],
    })
    expect(await say('revoke worker')).toBe('revoked worker\n')
    expect(await say('entry list')).toMatch(/^worker .*\(revoked\)$/m)
    expect(await say('restore worker')).toBe('restored worker\n')
    expect(await say('entry remove worker')).toBe('removed worker\n')
    await expect(say('entry remove worker')).rejects.toThrow('Entry worker not found.')
  })

  it('list which workload has which SVID', async () => {
    expect(await agent.admin.svids()).toMatchObject({ issued: expect.any(Number), svids: expect.any(Array) })
  })

  it('report what is wrong with an entry', async () => {
    await expect(say('entry add spiffe://example.org/x --id client --selector socket:x')).rejects.toThrow(
      'Entry client already exists.',
    )
    await expect(say('entry add spiffe://example.org/x')).rejects.toThrow(
      'x: selectors must contain at least one; without any, every workload would match',
    )
    await expect(say('entry add spiffe://example.org/x --selector user:x --ttl soon')).rejects.toThrow(
      'x: selectors contains "user:x", which is not valid',
    )
  })

  it('rotate and retire authorities', async () => {
    expect(await say('retire x509')).toBe('no old x509 authority to retire\n')
    expect(await say('rotate x509')).toMatch(/^x509 authority [0-9a-f]{32} is published and signs in 1 s\n$/)
    expect(JSON.parse(await say('authorities')).x509).toMatchObject([
      { state: 'active' },
      { state: 'prepared' },
    ])
    expect(JSON.parse(await say('bundle show')).keys).toHaveLength(3)
    await expect(say('rotate all')).rejects.toThrow('Usage: rotate x509 or rotate jwt')
  })

  it('show the usage for unknown commands', async () => {
    await expect(say('dance')).rejects.toThrow(`Unknown command 'dance'.\n\n${HELP}`)
    await expect(say('entry dance')).rejects.toThrow("Unknown command 'entry dance'.\n\n")
    await expect(say('entry list --colour')).rejects.toThrow(`Unknown option '--colour'.\n\n${HELP}`)
    await expect(say('entry remove')).rejects.toThrow('Usage: entry remove ID')
  })

  it('report that no agent is running', async () => {
    await expect(runVerb(['entry', 'list'], join(agent.folder, 'nothing.sock'))).rejects.toThrow(
      /^spiffe-agent at .*nothing\.sock is not reachable \(ENOENT\)\.$/,
    )
  })
})
