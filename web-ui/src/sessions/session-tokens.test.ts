import { PeerError } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { LoginRefused, type Tokens } from '../provider/index.ts'
import { SessionTokens } from './session-tokens.ts'

const tokens = (name: string, expiresInSeconds: number | undefined = 120): Tokens => ({
  accessToken: `access ${name}`,
  refreshToken: `refresh ${name}`,
  expiresInSeconds,
  scope: 'read:data',
  idToken: `id ${name}`,
  claims: undefined,
})

describe('SessionTokens', () => {
  const clock = new ManualClock()
  let asked: string[] = []
  let answer: (refreshToken: string) => Promise<Tokens>
  const session = (first = tokens('1')) =>
    new SessionTokens(
      first,
      (refreshToken) => {
        asked.push(refreshToken)
        return answer(refreshToken)
      },
      clock.now,
    )

  beforeEach(() => {
    asked = []
    answer = async () => tokens(String(asked.length + 1))
  })

  it('renews the access token 30 s before it expires', async () => {
    const session1 = session()
    clock.advance(89_999)
    await expect(session1.access()).resolves.toBe('access 1')
    expect(asked).toEqual([])
    clock.advance(1)
    await expect(session1.access()).resolves.toBe('access 2')
    expect(asked).toEqual(['refresh 1'])
    expect(session1.summary).toEqual({
      expiresAt: clock.now() + 120_000,
      scope: 'read:data',
      canRefresh: true,
      refreshes: 1,
    })
  })

  it('renews a token of a few seconds when a quarter of its lifetime is left', async () => {
    const short = session(tokens('1', 4))
    clock.advance(2_999)
    await short.access()
    expect(asked).toEqual([])
    clock.advance(1)
    await short.access()
    expect(asked).toEqual(['refresh 1'])
  })

  it('renews once for a hundred concurrent requests, because a refresh token works once', async () => {
    const session1 = session()
    clock.advance(120_000)
    const results = await Promise.all(Array.from({ length: 100 }, () => session1.access()))
    expect(new Set(results)).toEqual(new Set(['access 2']))
    expect(asked).toEqual(['refresh 1'])
  })

  it('uses the new refresh token next, or the old one if the provider does not rotate', async () => {
    const session1 = session()
    clock.advance(120_000)
    await session1.access()
    answer = async () => ({ ...tokens('3'), refreshToken: undefined })
    clock.advance(120_000)
    await session1.access()
    clock.advance(120_000)
    await session1.access()
    expect(asked).toEqual(['refresh 1', 'refresh 2', 'refresh 2'])
  })

  it('uses the old token while the provider is unavailable, retries, and stops when the token has expired', async () => {
    answer = () =>
      Promise.reject(new PeerError('identity-provider', 502, 'peer_unreachable', 'It is not reachable.'))
    const session1 = session()
    clock.advance(90_000)
    await expect(session1.access()).resolves.toBe('access 1')
    await expect(session1.access()).resolves.toBe('access 1')
    expect(asked).toHaveLength(1)
    clock.advance(5_000)
    await expect(session1.access()).resolves.toBe('access 1')
    expect(asked).toHaveLength(2)
    clock.advance(25_000)
    await expect(session1.access()).resolves.toBeUndefined()
    answer = async () => tokens('2')
    clock.advance(5_000)
    await expect(session1.access()).resolves.toBe('access 2')
  })

  it('reports that the provider has ended the session', async () => {
    answer = () => Promise.reject(new LoginRefused('invalid_grant', 'The grant is over.', true))
    const session1 = session()
    clock.advance(120_000)
    await expect(session1.access()).rejects.toMatchObject({ code: 'invalid_grant' })
  })

  it('has no token after the expiry of one that cannot be renewed', async () => {
    const session1 = session({ ...tokens('1'), refreshToken: undefined })
    clock.advance(119_999)
    await expect(session1.access()).resolves.toBe('access 1')
    clock.advance(1)
    await expect(session1.access()).resolves.toBeUndefined()
    expect(session1.summary.canRefresh).toBe(false)
  })

  it('uses a token without a stated lifetime until the provider rejects it', async () => {
    const session1 = session({ ...tokens('1'), expiresInSeconds: undefined })
    clock.advance(86_400_000)
    await expect(session1.access()).resolves.toBe('access 1')
    expect(session1.summary.expiresAt).toBeUndefined()
  })
})
