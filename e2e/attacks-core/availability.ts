/** Section G of the attack catalog, AL-80 to AL-83, against running services. */
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { send } from './lab.ts'
import { clockOfB, lab } from './targets.ts'

const TOO_LARGE = [413, 431]
const PEERS = ['jwt-factory', 'service-b', 'service-c'] as const

describe('the services', () => {
  const scenario = (number: number, query = '') => lab.services.get('service-a', `/scenario${number}${query}`)
  /** Scenarios 1 and 3 answer with one verdict, 2 and 4 with one for each callee. */
  const good = (body: Record<string, unknown>) =>
    'valid' in body
      ? body.valid === true
      : Object.values(body).every((outcome) => (outcome as { valid?: boolean }).valid === true)

  it('AL-80 answer 502 with the name of an unavailable peer, keep running, and recover with it', async () => {
    const needs: Record<(typeof PEERS)[number], [scenarios: number[], name: string]> = {
      'jwt-factory': [[1, 2], 'jwt-factory'],
      'service-b': [[1, 2, 3, 4], 'serviceb'],
      'service-c': [[2, 4], 'servicec'],
    }
    for (const peer of PEERS) {
      const [affected, name] = needs[peer]
      await lab.services.suite.launcher.restart(peer, async () => {
        for (const number of [1, 2, 3, 4]) {
          const { status, body } = await scenario(number)
          if (affected.includes(number))
            expect([peer, number, status, body.error.code, body.error.message]).toEqual([
              peer,
              number,
              502,
              'peer_unreachable',
              expect.stringContaining(name),
            ])
          else expect([peer, number, status, good(body)]).toEqual([peer, number, 200, true])
        }
        await lab.services.get('service-a', '/healthz').expect(200)
      })
      for (const number of [1, 2, 3, 4])
        expect([number, good((await scenario(number)).body)]).toEqual([number, true])
    }
  })

  it('AL-81 reject no valid call, because a token is valid for much longer than a call takes', async () => {
    const milliseconds: number[] = []
    const call = async (number: number) => {
      const started = performance.now()
      const { body } = await scenario(number)
      milliseconds.push(performance.now() - started)
      return good(body)
    }
    // `npm run bench` makes 10,000 calls of each. These cross a second's boundary often enough to find the fault.
    for (let round = 0; round < 30; round += 1) {
      const outcomes = await Promise.all([3, 4, 3, 4, 1, 2, 3, 4].map(call))
      expect(outcomes).toEqual(outcomes.map(() => true))
    }
    milliseconds.sort((a, b) => a - b)
    const p99 = milliseconds[Math.floor(milliseconds.length * 0.99)] as number
    const { exp, iat } = (await scenario(3)).body.claims
    expect((exp - iat) * 1000).toBeGreaterThan(10 * p99)
  })

  it('AL-82 answer requests that are too large in any way, and keep running', async () => {
    const verify = `${lab.services.url('jwt-factory')}/verify/servicea`
    const json = ['content-type', 'application/json']
    const deep = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`
    const attempts: [string, Parameters<typeof send>[1], number, string | undefined][] = [
      [
        verify,
        { method: 'POST', headers: json, body: Buffer.alloc(10 * 1024 * 1024, 97) },
        413,
        'body_too_large',
      ],
      [verify, { method: 'POST', headers: json, body: deep }, 400, 'json_too_deep'],
      [verify, { method: 'POST', headers: json, body: '{"token":' }, 400, 'malformed_json'],
      [
        verify,
        { method: 'POST', headers: ['content-type', 'text/plain'], body: '{}' },
        400,
        'wrong_content_type',
      ],
      [
        verify,
        { method: 'POST', headers: json, body: '{"__proto__":{"valid":true}}' },
        400,
        'forbidden_member',
      ],
      [
        verify,
        { method: 'POST', headers: [...json, 'x', 'y'.repeat(64 * 1024)], body: '{}' },
        431,
        undefined,
      ],
      [`${lab.services.url('service-a')}/scenario1?${'x'.repeat(64 * 1024)}`, {}, 431, undefined],
      [
        `${lab.services.url('service-b')}/scenario1-server`,
        { headers: ['authorization', `Bearer ${'x'.repeat(20_000)}`] },
        431,
        undefined,
      ],
    ]
    for (const [url, attempt, status, code] of attempts) {
      const answer = await send(url, attempt).catch((error) => {
        // The answer may be lost if the service closes the connection of a sender that does not stop.
        expect([TOO_LARGE.includes(status), error.code]).toEqual([
          true,
          expect.stringMatching(/^(EPIPE|ECONNRESET)$/),
        ])
        return { status, body: { error: { code } } }
      })
      expect([answer.status, answer.body?.error?.code]).toEqual([status, code])
    }
    await expectNobodyDied()
  })

  it('AL-82 serve other clients while a hundred send their requests one byte at a time', async () => {
    const { hostname, port } = new URL(lab.services.url('service-a'))
    const slow = Array.from({ length: 100 }, () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      socket.write('GET /scenario1 HTTP/1.1\r\nhost: localhost\r\nx-slow: ')
      const drip = setInterval(() => socket.write('z'), 100)
      const end = () => {
        clearInterval(drip)
        socket.destroy()
      }
      return { end }
    })
    try {
      for (let round = 0; round < 5; round += 1) expect(good((await scenario(1)).body)).toBe(true)
    } finally {
      for (const client of slow) client.end()
    }
    await expectNobodyDied()
  })

  async function expectNobodyDied() {
    for (const name of ['jwt-factory', 'service-a', 'service-b', 'service-c'] as const)
      await lab.services.get(name, '/healthz').expect(200)
  }
})

describe.each([
  ['90 s late', -90_000, { message: 'jwt issued in the future', date: expect.any(String) }],
  [
    '90 s early',
    90_000,
    { name: 'TokenExpiredError', message: 'jwt expired', expiredAt: expect.any(String) },
  ],
])('a service whose clock is %s', (_what, offset, error) => {
  afterEach(() => clockOfB.set(0))

  it('AL-83 rejects a token with its time, and sends its own time in the Date header', async () => {
    clockOfB.set(offset)
    const { body } = await lab.services.get('service-a', '/scenario3').expect(200)
    expect(body).toMatchObject({ valid: false, error, claims: {} })
    expect(Date.parse(body.error.date ?? body.error.expiredAt)).not.toBeNaN()
    // C's clock is right, so the token is not at fault.
    const four = (await lab.services.get('service-a', '/scenario4').expect(200)).body
    expect([four.serviceB.valid, four.serviceC.valid]).toEqual([false, true])
  })
})
