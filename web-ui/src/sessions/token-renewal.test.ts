import { PeerError } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { LoginRefused, type Tokens } from '../provider/index.ts'
import { openTestSessions, type TestSessions } from '../testing/test-sessions.ts'
import { newSecret } from './session-store.ts'
import { accessSummary, sessionTokens, validAccessToken } from './session-tokens.ts'
import { TokenRenewal } from './token-renewal.ts'
import { userFrom } from './visitor.ts'

const tokens = (name: string, expiresInSeconds: number | undefined = 120): Tokens => ({
  accessToken: `access ${name}`,
  refreshToken: `refresh ${name}`,
  expiresInSeconds,
  scope: 'read:data',
  idToken: `id ${name}`,
  claims: undefined,
})

describe('TokenRenewal', () => {
  const clock = new ManualClock(Date.now())
  let system: TestSessions
  let replicas: readonly TokenRenewal[]
  let asked: string[] = []
  let answer: (refreshToken: string) => Promise<Tokens>

  beforeAll(async () => {
    system = await openTestSessions(clock)
    const renew = (_sub: string, refreshToken: string) => {
      asked.push(refreshToken)
      return answer(refreshToken)
    }
    replicas = system.replicas.map((sessions) => new TokenRenewal({ sessions, renew, clock: clock.now }))
  })
  afterAll(() => system.close())
  beforeEach(() => {
    asked = []
    answer = async () => tokens(String(asked.length + 1))
  })

  /** Starts a session, and returns functions that request its token at one of the two replicas. */
  async function start(first = tokens('1')) {
    const [sessions] = system.replicas
    const id = await sessions.start({
      user: userFrom({ sub: 'ada' }, ''),
      formToken: newSecret(),
      providerSession: undefined,
      tokens: sessionTokens(first, clock.now()),
    })
    const current = async (replica = 0) => {
      const session = await system.replicas[replica as 0 | 1].look(id)
      return session && replicas[replica]?.current(id, session)
    }
    const access = async (replica = 0) => {
      const session = await current(replica)
      return session && validAccessToken(session.tokens, clock.now())
    }
    return { id, current, access }
  }

  it('renews the access token 30 s before it expires', async () => {
    const { access, current } = await start()
    clock.advance(89_999)
    expect(await access()).toBe('access 1')
    expect(asked).toEqual([])
    clock.advance(1)
    expect(await access()).toBe('access 2')
    expect(asked).toEqual(['refresh 1'])
    const session = await current(1)
    expect(session && accessSummary(session.tokens)).toEqual({
      expiresAt: clock.now() + 120_000,
      scope: 'read:data',
      canRefresh: true,
      refreshes: 1,
    })
  })

  it('renews a token of a few seconds when a quarter of its lifetime is left', async () => {
    const { access } = await start(tokens('1', 4))
    clock.advance(2_999)
    await access()
    expect(asked).toEqual([])
    clock.advance(1)
    await access()
    expect(asked).toEqual(['refresh 1'])
  })

  it('renews once for a hundred concurrent requests at two replicas, because a refresh token works once', async () => {
    const { access } = await start()
    answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 150))
      return tokens('2')
    }
    clock.advance(120_000)
    const results = await Promise.all(Array.from({ length: 100 }, (_, index) => access(index % 2)))
    expect(new Set(results)).toEqual(new Set(['access 2']))
    expect(asked).toEqual(['refresh 1'])
  })

  it('uses the new refresh token next, or the old one if the provider does not rotate', async () => {
    const { access } = await start()
    clock.advance(120_000)
    await access(0)
    answer = async () => ({ ...tokens('3'), refreshToken: undefined })
    clock.advance(120_000)
    await access(1)
    clock.advance(120_000)
    await access(0)
    expect(asked).toEqual(['refresh 1', 'refresh 2', 'refresh 2'])
  })

  it('uses the old token while the provider is unavailable, retries, and stops when the token has expired', async () => {
    answer = () =>
      Promise.reject(new PeerError('identity-provider', 502, 'peer_unreachable', 'It is not reachable.'))
    const { access } = await start()
    clock.advance(90_000)
    expect(await access(0)).toBe('access 1')
    expect(await access(1)).toBe('access 1')
    expect(asked).toHaveLength(1)
    clock.advance(5_000)
    expect(await access(1)).toBe('access 1')
    expect(asked).toHaveLength(2)
    clock.advance(25_000)
    expect(await access()).toBeUndefined()
    answer = async () => tokens('2')
    clock.advance(5_000)
    expect(await access()).toBe('access 2')
  })

  it('ends the session if the provider has ended its own', async () => {
    answer = () => Promise.reject(new LoginRefused('invalid_grant', 'The grant is over.', true))
    const { id, current } = await start()
    clock.advance(120_000)
    expect(await current()).toBeUndefined()
    expect(await system.replicas[1].find(id)).toBeUndefined()
  })

  it('has no token after the expiry of one that cannot be renewed', async () => {
    const { access, current } = await start({ ...tokens('1'), refreshToken: undefined })
    clock.advance(119_999)
    expect(await access()).toBe('access 1')
    clock.advance(1)
    expect(await access()).toBeUndefined()
    const session = await current()
    expect(session && accessSummary(session.tokens).canRefresh).toBe(false)
  })

  it('uses a token without a stated lifetime until the provider rejects it', async () => {
    const { access, current } = await start({ ...tokens('1'), expiresInSeconds: undefined })
    clock.advance(900_000)
    expect(await access()).toBe('access 1')
    const session = await current()
    expect(session && accessSummary(session.tokens).expiresAt).toBeUndefined()
  })
})
