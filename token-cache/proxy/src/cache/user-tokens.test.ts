import { afterEach, describe, expect, it } from '@jest/globals'
import { startTier, type TestTier, until } from '../testing/tier.ts'
import { placeInSeconds, withPlace } from './user-tokens.ts'

describe('withPlace', () => {
  const limits = { tokensPerUser: 2 }

  it('adds a key below the limit, and renews an existing one', () => {
    expect(withPlace({ tokens: [['a', 10]] }, 'b', 20, 5, limits)?.record.tokens).toEqual([
      ['a', 10],
      ['b', 20],
    ])
    const full = { tokens: [['a', 10] as const, ['b', 11] as const] }
    expect(withPlace(full, 'a', 20, 5, limits)?.record.tokens).toEqual([
      ['b', 11],
      ['a', 20],
    ])
  })

  it('replaces the oldest token once it is no longer fresh, and none before', () => {
    const full = { tokens: [['a', 11_000] as const, ['b', 10_000] as const] }
    expect(withPlace(full, 'c', 20_000, 9_999, limits)).toBeUndefined()
    expect(placeInSeconds(full, 8_500)).toBe(2)
    expect(withPlace(full, 'c', 20_000, 10_000, limits)).toEqual({
      record: {
        tokens: [
          ['a', 11_000],
          ['c', 20_000],
        ],
      },
      left: 'b',
    })
  })
})

describe('a user with another agent in each request', () => {
  let tier: TestTier
  afterEach(() => tier.stop())

  it('gets tokens up to the limit of a user over all proxies, then 429 until one has to be renewed', async () => {
    tier = await startTier({ env: { TOKENS_PER_USER: '8' } })
    const statuses: number[] = []
    for (let i = 0; i < 40; i += 1)
      statuses.push((await tier.get(i % 2, 'user1', { agent: `agent${i}` })).status)
    expect(statuses).toEqual([...Array(8).fill(200), ...Array(32).fill(429)])
    expect(tier.issuer.calls.length).toBe(8)

    const limited = await tier.get(0, 'user1', { agent: 'new' })
    expect(limited.headers.get('retry-after')).toBe('300')
    expect(await limited.json()).toEqual({
      error: {
        code: 'too_many_tokens',
        message:
          'This user has reached the limit of 8 tokens, one per client (user-agent). Retry later or with a client that has one. See TOKENS_PER_USER.',
      },
    })
    expect((await tier.get(1, 'user1', { agent: 'agent3' })).status).toBe(200)
    expect((await tier.get(1, 'user2')).status).toBe(200)
    expect((await tier.figures(0)).limited).toBeGreaterThan(10)
    expect(await (await tier.operate(0, '/metrics')).text()).toMatch(
      /^token_cache_limited_total\{.*\} \d\d$/m,
    )

    tier.clock.advance(300_000)
    expect((await tier.get(0, 'user1', { agent: 'new' })).status).toBe(200)
    const { tokens } = (await (await tier.operate(0, '/status/users/user1')).json()) as { tokens: object }
    expect(Object.keys(tokens)).toHaveLength(8)
  })

  it('gets no more tokens with concurrent requests', async () => {
    tier = await startTier({ env: { TOKENS_PER_USER: '4' } })
    tier.issuer.delayMs = 20
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => tier.get(i % 2, 'user1', { agent: `agent${i}` })),
    )
    const count = (status: number) => answers.filter((answer) => answer.status === status).length
    expect(count(200)).toBe(4)
    expect(count(429)).toBe(196)
    expect(tier.issuer.calls.length).toBe(4)
  })

  it('causes one call to an issuer that denies the user, for all agents', async () => {
    tier = await startTier()
    tier.issuer.answer = (_user, response) => void response.writeHead(403).end('{}')
    for (let i = 0; i < 20; i += 1)
      expect((await tier.get(i % 2, 'denied', { agent: `agent${i}` })).status).toBe(403)
    expect(tier.issuer.calls.length).toBe(1)
    tier.issuer.answer = undefined
    tier.clock.advance(2_000)
    await until(async () => (await tier.get(0, 'denied', { agent: 'agent1' })).status === 200)
  })
})
