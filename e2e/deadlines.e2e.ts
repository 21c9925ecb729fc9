import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'

let suite: TestSuite
beforeAll(async () => {
  suite = await startTestSuite(dirname(import.meta.dirname))
  await fetch(`${suite.url('service-a')}/gen-keys`, { method: 'POST' })
}, 60_000)
afterAll(() => suite?.stop())

/** Calls a function while a service is suspended: its connections stay open, but it does not answer. */
async function whileFrozen<T>(service: string, act: () => Promise<T>): Promise<T> {
  const pid = suite.launcher.pid(service) as number
  process.kill(pid, 'SIGSTOP')
  try {
    return await act()
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

/** The answer in the explorer: the web UI waits for service A as long as service A waits for B. */
async function runByExplorer(scenario: number) {
  const response = await fetch(`${suite.url('web-ui')}/explorer/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ scenario }),
  })
  return (await response.json()) as { status: number; answer: { error: { code: string; message: string } } }
}

describe('the answer to the first caller names a hanging service', () => {
  it.each([
    [1, 'service-b', /^serviceb at \S+ did not answer within \d+ ms\.$/],
    [2, 'service-c', /^servicec at \S+ did not answer within \d+ ms\.$/],
    [3, 'service-b', /^serviceb at \S+ did not answer within \d+ ms\.$/],
    [1, 'jwt-factory', /^jwt-factory at \S+ did not answer within \d+ ms\.$/],
    [5, 'spiffe-server', /^spiffe-proxy answered 504: spiffe-server at \S+ did not answer within \d+ ms\.$/],
    [6, 'token-cache-api', /^token-cache-api at \S+ did not answer within \d+ ms\.$/],
  ])(
    'scenario %i without %s',
    async (scenario, frozen, message) => {
      await runByExplorer(scenario)
      const { status, answer } = await whileFrozen(frozen, () => runByExplorer(scenario))
      expect([status, answer.error.code]).toEqual([504, 'peer_timeout'])
      expect(answer.error.message).toMatch(message)
    },
    20_000,
  )

  it('when the token cache waits for a token', async () => {
    const answer = await whileFrozen('jwt-factory', () =>
      fetch(suite.url('token-cache-load-balancer'), { headers: { 'remote-user': 'nobody-yet' } }),
    )
    expect(answer.status).toBe(504)
    expect(await answer.json()).toMatchObject({
      error: {
        code: 'peer_timeout',
        message: expect.stringMatching(
          /^token-cache-auth answered 504: jwt-factory at \S+ did not answer within \d+ ms\.$/,
        ),
      },
    })
  }, 20_000)
})
