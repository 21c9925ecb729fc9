import { type ChildProcess, execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { runCli } from '../cli/src/testing/run-cli.ts'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'

const root = resolve(import.meta.dirname, '..')

describe('npx hallpass, with the suite running', () => {
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: ['jwt-factory', 'service-a', 'service-b', 'service-c', 'sse-server', 'sse-gateway'],
      env: { CHALLENGE_WINDOW_SECONDS: '1' },
    })
  }, 60_000)
  afterAll(() => suite?.stop())

  /** The program as a person starts it: from the root, with npm's link to it. */
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

  /** A second less for each command than to start the program. */
  const inProcess = (...args: readonly string[]) => runCli(args, { env: { STATE_FOLDER: suite.stateFolder } })

  it('makes a token that the gateway takes', async () => {
    const { out: token } = await hallpass('token')
    const url = `${suite.url('sse-gateway', 'PORT')}/events`
    const [{ out }, { code, err }] = await Promise.all([
      hallpass('token', 'decode', token),
      hallpass('listen', '--url', url, '--token', `${token}x`),
    ])
    expect(out).toMatch(/scope +proxy:stream\n.*sub +example/)
    expect([code, err]).toEqual([1, expect.stringContaining('refused with 401: invalid signature')])
  })

  it('listens to what it publishes, until the token expires', async () => {
    const url = `${suite.url('sse-gateway', 'PORT')}/events`
    const listening = hallpass('listen', '--url', url, '--exp', '4s')
    await listening.printed('connected')
    const to = suite.url('sse-server', 'TCP_PORT')
    expect(await inProcess('publish', '--to', to, '{"data":"Hello"}')).toMatchObject({
      exitCode: 0,
      out: '',
      err: '',
    })
    const { code, out } = await listening
    expect(out).toMatch(/connected {2}HTTP\/2/)
    expect(out).toMatch(/event {6}Hello {2}id \d+-\d+\n/)
    expect(out).toMatch(/challenge {2}not answered.*\n.*end {8}token_expired$/)
    expect(code).toBe(4)
  })

  it.each(['1', '2', '3', '4'])(
    'runs scenario %s with a token that is good and with one that has expired',
    async (number) => {
      const url = suite.url('service-a', 'PORT')
      const [good, expired] = await Promise.all([
        inProcess('scenario', number, '--url', url),
        inProcess('scenario', number, '--url', url, '--expired'),
      ])
      expect([good.exitCode, good.err]).toEqual([0, ''])
      expect(good.out).toMatch(/✓ service B let it in\n {4}iss/)
      expect([expired.exitCode, expired.err]).toEqual([0, ''])
      expect(expired.out).toMatch(/✗ service [BC] refused it: jwt expired/)
    },
  )
})
