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

  it('shows who let it in, and with which claims', async () => {
    const { exitCode, out } = await run('1')
    expect(exitCode).toBe(0)
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^Scenario 1 {2}\d+ ms$/),
      '  A calls B with a token that the jwt-factory signed; B asks the factory.',
      '✓ service B let it in',
      '    iss  https://jwt-factory/',
      '    sub  servicea',
      '    aud  serviceb',
      '    exp  1767229200  in 60 minutes',
    ])
  })

  it('knows that scenario 2 spoils the token for C alone', async () => {
    const { exitCode, out } = await run('2', '--expired')
    expect([exitCode, out.split('\n').filter((line) => /^[✓✗]/.test(line))]).toEqual([
      0,
      ['✓ service B let it in', '✗ service C refused it: jwt expired'],
    ])
  })

  it('takes other faults', async () => {
    const { exitCode, out } = await run('1', '--fault', 'no-token')
    expect([exitCode, out.split('\n').at(-1)]).toEqual([0, '✗ service B refused it: no token provided'])
  })

  it('counts the refusal of an expired token as the success that it is', async () => {
    const { exitCode, out } = await run('1', '--expired')
    expect([exitCode, out.split('\n').at(-1)]).toEqual([0, '✗ service B refused it: jwt expired'])
  })

  it('fails when one of two callees refuses, or accepts what has expired', async () => {
    expect(await run('2')).toMatchObject({
      exitCode: 1,
      err: 'hallpass: A token was refused by service C that should be good.',
    })
    expect(await run('4', '--expired')).toMatchObject({
      exitCode: 1,
      err: 'hallpass: A bad token (expired) was accepted by service C.',
    })
  })

  it('prints the answer as it is', async () => {
    expect(JSON.parse((await run('1', '--json')).out)).toEqual(good)
  })

  it('shows the step that is missing', async () => {
    const { exitCode, err } = await run('3')
    expect([exitCode, err]).toEqual([
      1,
      `hallpass: ${url}/scenario3 answered 503: There is no key yet.\n  curl -X POST …`,
    ])
  })

  it.each([
    [['6'], 2, 'There are scenarios 1 to 5.'],
    [['5', '--expired'], 2, 'The agent makes no SVID that has expired'],
    [
      ['1', '--url', 'http://localhost:2'],
      3,
      'is not reachable (ECONNREFUSED). Is the suite running? npm start',
    ],
  ])('refuses %j', async (args, code, message) => {
    const { exitCode, err } = await run(...args)
    expect([exitCode, err]).toEqual([code, expect.stringContaining(message)])
  })
})
