import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { runCli } from '../testing/run-cli.ts'

/** Service A's documented answers; the whole system answers the same command in e2e/cli.e2e.ts. */
const good = {
  valid: true,
  claims: { iss: 'https://jwt-factory/', sub: 'servicea', aud: 'serviceb', exp: 1_767_229_200 },
}
const expired = {
  message: 'invalid token',
  valid: false,
  error: { name: 'TokenExpiredError', message: 'jwt expired', expiredAt: '2025-12-31T23:59:00.000Z' },
  claims: {},
}
const ANSWERS: Readonly<Record<string, [status: number, body: unknown]>> = {
  '/scenario1': [200, good],
  '/scenario1?fault=expired': [200, expired],
  '/scenario1?fault=no-token': [200, { message: 'no token provided' }],
  '/scenario2': [200, { serviceb: good, servicec: expired }],
  '/scenario2?fault=expired': [200, { serviceb: good, servicec: expired }],
  '/scenario4?fault=expired': [200, { serviceB: expired, serviceC: good }],
  '/scenario3': [
    503,
    { error: { code: 'key_missing', message: 'There is no key yet.', step: 'curl -X POST …' } },
  ],
}

describe('hallpass scenario', () => {
  const server = http.createServer((request, response) => {
    const [status, body] = ANSWERS[request.url as string] ?? [404, {}]
    response.writeHead(status).end(JSON.stringify(body))
  })
  let url: string
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => void server.close())
  const run = (...args: string[]) =>
    runCli(['scenario', ...(args.includes('--url') ? [] : ['--url', url]), ...args], {
      clock: () => Date.parse('2026-01-01T00:00:00Z'),
    })

  it('prints who accepted the call, and with which claims', async () => {
    const { exitCode, out } = await run('1')
    expect(exitCode).toBe(0)
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^Scenario 1 {2}\d+ ms$/),
      '  A calls B with a token signed by jwt-factory. B calls jwt-factory to verify it.',
      '✓ service B accepted the call',
      '    iss  https://jwt-factory/',
      '    sub  servicea',
      '    aud  serviceb',
      '    exp  1767229200  in 60 minutes',
    ])
  })

  it('expects the fault of scenario 2 only in the token for C', async () => {
    const { exitCode, out } = await run('2', '--expired')
    expect([exitCode, out.split('\n').filter((line) => /^[✓✗]/.test(line))]).toEqual([
      0,
      ['✓ service B accepted the call', '✗ service C rejected the call: jwt expired'],
    ])
  })

  it('accepts other faults', async () => {
    const { exitCode, out } = await run('1', '--fault', 'no-token')
    expect([exitCode, out.split('\n').at(-1)]).toEqual([
      0,
      '✗ service B rejected the call: no token provided',
    ])
  })

  it('succeeds if an expired token is rejected', async () => {
    const { exitCode, out } = await run('1', '--expired')
    expect([exitCode, out.split('\n').at(-1)]).toEqual([0, '✗ service B rejected the call: jwt expired'])
  })

  it('fails if one of two callees rejects a valid token or accepts an expired one', async () => {
    expect(await run('2')).toMatchObject({
      exitCode: 1,
      err: 'hallpass: A valid token was rejected by service C.',
    })
    expect(await run('4', '--expired')).toMatchObject({
      exitCode: 1,
      err: 'hallpass: A bad token (expired) was accepted by service C.',
    })
  })

  it('prints the answer unchanged', async () => {
    expect(JSON.parse((await run('1', '--json')).out)).toEqual(good)
  })

  it('prints the missing step', async () => {
    const { exitCode, err } = await run('3')
    expect([exitCode, err]).toEqual([
      1,
      `hallpass: ${url}/scenario3 answered 503: There is no key yet.\n  curl -X POST …`,
    ])
  })

  it.each([
    [['6'], 2, 'Expected a scenario number from 1 to 5.'],
    [['5', '--expired'], 2, 'The agent does not issue expired SVIDs'],
    [
      ['1', '--url', 'http://localhost:2'],
      3,
      'is not reachable (ECONNREFUSED). Is the suite running? npm start',
    ],
  ])('rejects %j', async (args, code, message) => {
    const { exitCode, err } = await run(...args)
    expect([exitCode, err]).toEqual([code, expect.stringContaining(message)])
  })
})
