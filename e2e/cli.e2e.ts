import { type ChildProcess, execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'

const root = resolve(import.meta.dirname, '..')

describe('npx hallpass, with the suite running', () => {
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: [
        ...['jwt-factory', 'service-a', 'service-b', 'service-c', 'sse-server', 'sse-gateway'],
        ...['spiffe-agent', 'spiffe-server', 'spiffe-proxy'],
      ],
      env: { CHALLENGE_WINDOW_SECONDS: '1' },
    })
  }, 60_000)
  afterAll(() => suite?.stop())

  /** Runs the program like a user: from the root, by npm's link. */
  function hallpass(...args: readonly string[]) {
    const options = { cwd: root, env: { ...process.env, STATE_FOLDER: suite.stateFolder } }
    const program = resolve(root, 'node_modules/.bin/hallpass')
    let child: ChildProcess | undefined
    const promise = new Promise<{ code: number; out: string; err: string }>((done) => {
      child = execFile(program, args, options, (error, out, err) =>
        done({ code: error ? Number(error.code) : 0, out: out.trim(), err: err.trim() }),
      )
    })
    return Object.assign(promise, {
      /** Resolves when the program has printed this. */
      printed: (text: string) =>
        new Promise<void>((found) => {
          let seen = ''
          child?.stdout?.on('data', (chunk: string) => {
            seen += chunk
            if (seen.includes(text)) found()
          })
        }),
    })
  }

  it('makes a token that the gateway accepts', async () => {
    const { out: token } = await hallpass('token')
    const url = `${suite.url('sse-gateway', 'PORT')}/events`
    const [{ out }, { code, err }] = await Promise.all([
      hallpass('token', 'decode', token),
      hallpass('listen', '--url', url, '--token', `${token}x`),
    ])
    expect(out).toMatch(/scope +proxy:stream\n.*sub +example/)
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('rejected the stream with 401: invalid signature'),
    ])
  })

  it('receives what it publishes, until the token expires', async () => {
    const url = `${suite.url('sse-gateway', 'PORT')}/events`
    const listening = hallpass('listen', '--url', url, '--exp', '4s')
    await listening.printed('connected')
    const to = suite.url('sse-server', 'TCP_PORT')
    expect(await hallpass('publish', '--to', to, '{"data":"Hello"}')).toEqual({
      code: 0,
      out: '',
      err: '',
    })
    const { code, out } = await listening
    expect(out).toMatch(/connected {2}HTTP\/2/)
    expect(out).toMatch(/event {6}Hello {2}id \d+-\d+\n/)
    expect(out).toMatch(/challenge {2}not answered.*\n.*end {8}token_expired$/)
    expect(code).toBe(4)
  })

  it.each(['1', '2', '3', '4'])('runs scenario %s with a valid and with an expired token', async (number) => {
    const url = suite.url('service-a', 'PORT')
    const [good, expired] = await Promise.all([
      hallpass('scenario', number, '--url', url),
      hallpass('scenario', number, '--url', url, '--expired'),
    ])
    expect([good.code, good.err]).toEqual([0, ''])
    expect(good.out).toMatch(/✓ service B accepted the call\n {4}iss/)
    expect([expired.code, expired.err]).toEqual([0, ''])
    expect(expired.out).toMatch(/✗ service [BC] rejected the call: jwt expired/)
  })

  it('runs scenario 5, as any workload', async () => {
    const url = suite.url('spiffe-proxy', 'PORT')
    expect(await hallpass('scenario', '5', '--url', url)).toEqual({
      code: 0,
      out: expect.stringContaining('Success!'),
      err: '',
    })
  })

  it('prints the SVID of a workload, and fetches and validates its tokens', async () => {
    const shown = await hallpass('spiffe', 'show', '--as', 'proxy')
    expect([shown.code, shown.err]).toEqual([0, ''])
    expect(shown.out).toMatch(
      /^spiffe:\/\/example\.org\/server {2}until .*\ntrusts example\.org \(1 authority\)$/,
    )
    const audience = 'spiffe://example.org/server'
    const { out: token } = await hallpass('spiffe', 'token', audience)
    const validations = await Promise.all(
      [[], ['--by-agent']].map((how) =>
        hallpass('spiffe', 'validate', token, '--audience', audience, ...how),
      ),
    )
    for (const { code, out } of validations) expect([code, out]).toEqual([0, 'spiffe://example.org/client'])
  })

  it('administers the agent', async () => {
    const added = await hallpass('spiffe', 'add', 'spiffe://example.org/odd', '--selector', 'socket:odd')
    expect(added).toEqual({ code: 0, out: 'added odd', err: '' })
    expect(await hallpass('spiffe', 'show', '--as', 'odd')).toMatchObject({
      code: 0,
      out: expect.stringContaining('spiffe://example.org/odd'),
    })
    const commands = [
      [['entries'], /^odd +spiffe:\/\/example\.org\/odd/m],
      [['revoke', 'odd'], /^revoked odd$/],
      [['restore', 'odd'], /^restored odd$/],
      [['remove', 'odd'], /^removed odd$/],
      [['rotate', 'jwt'], /^jwt authority \S+ is published and signs in \d+ s$/],
      [['authorities'], /^x509 +active +until /m],
      [['retire', 'x509'], /^no old x509 authority to retire$/],
    ] as const
    for (const [args, pattern] of commands) {
      const { code, out, err } = await hallpass('spiffe', ...args)
      expect([args, code, err]).toEqual([args, 0, ''])
      expect(out).toMatch(pattern)
    }
  })

  it('rejects an invalid name of a workload, and lists the valid ones', async () => {
    const { code, err } = await hallpass('spiffe', 'show', '--as', 'ünusual name #1 100%?')
    expect(code).toBe(2)
    expect(err).toContain('not "ünusual name #1 100%?"')
    const unknown = await hallpass('spiffe', 'show', '--as', 'nobody')
    expect(unknown.code).toBe(2)
    expect(unknown.err).toContain('The workloads are: client, ')
  })

  it('lints policies', async () => {
    expect(await hallpass('lint-policies', 'deploy/istio')).toEqual({
      code: 0,
      out: expect.stringMatching(/^0 findings in \d+ files$/),
      err: '',
    })
  })
})
