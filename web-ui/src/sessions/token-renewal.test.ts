import { createLog, PeerError } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
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
  let lines: string[] = []
  let answer: (refreshToken: string) => Promise<Tokens>

  beforeAll(async () => {
    system = await openTestSessions(clock)
    const renew = (_sub: string, refreshToken: string) => {
      asked.push(refreshToken)
      return answer(refreshToken)
    }
    const log = createLog('web-ui', 'debug', { write: (line) => void lines.push(line) })
    replicas = system.replicas.map((sessions) => new TokenRenewal({ sessions, renew, log, clock: clock.now }))
  })
  afterAll(() => system.close())
  // A renewal in the background must not see the clock of the next test.
  afterEach(() => Promise.all(replicas.map((renewal) => renewal.settle())))
  beforeEach(() => {
    asked = []
    lines = []
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
    expect(session && accessSummary(session.tokens, clock.now())).toMatchObject({
      expiresAt: clock.now() + 120_000,
      scope: 'read:data',
      canRefresh: true,
      refreshes: 1,
    })
  })

  it('takes over the provider session of a renewed ID token', async () => {
    answer = async () => ({ ...tokens('2'), claims: { sub: 'ada', sid: 's2' } })
    const { id, access } = await start()
    clock.advance(90_000)
    expect(await access()).toBe('access 2')
    expect((await system.replicas[1].find(id))?.providerSession).toBe('s2')
    expect(await system.replicas[1].endAll({ providerSession: 's2' })).toBe(1)
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

  const refused = (code: string, more: object = {}, message = 'It says no.') =>
    Object.assign(new LoginRefused(code, message, true), more)

  it.each([
    ['429 with an error', refused('slow_down')],
    ['temporarily_unavailable', refused('temporarily_unavailable')],
    ['server_error', refused('server_error')],
    ['401 invalid_client', refused('invalid_client')],
    [
      'an ID token that failed verification',
      new LoginRefused('invalid_signature', 'invalid signature', false),
    ],
    ['a malformed answer', new PeerError('identity-provider', 502, 'peer_unexpected_answer', 'Not JSON.')],
    ['no answer', new PeerError('identity-provider', 504, 'peer_timeout', 'It did not answer.')],
    ['a fault of this service', new TypeError('x is not a function')],
  ])('keeps the session and its tokens after %s, and recovers', async (what, error) => {
    answer = () => Promise.reject(error)
    const { access, current } = await start()
    clock.advance(90_000)
    expect([await access(0), await access(1)]).toEqual(['access 1', 'access 1'])
    clock.advance(30_000)
    expect(await access()).toBeUndefined()
    const session = await current()
    expect(session && accessSummary(session.tokens, clock.now())).toMatchObject({
      noToken: 'awaited',
      canRefresh: true,
      failure: {
        code: 'code' in error ? error.code : 'unknown_error',
        isAnswered: what !== 'no answer' && what !== 'a fault of this service',
      },
      nextAttemptAt: clock.now() + 5_000,
    })
    answer = async () => tokens('2')
    clock.advance(5_000)
    expect(await access(1)).toBe('access 2')
    const recovered = await current()
    expect(recovered && accessSummary(recovered.tokens, clock.now())).toMatchObject({
      noToken: undefined,
      failure: undefined,
    })
  })

  it('ends the session if the renewed ID token has another subject', async () => {
    answer = () => Promise.reject(new LoginRefused('other_subject', 'Another subject.', false))
    const { id, current } = await start()
    clock.advance(120_000)
    expect(await current()).toBeUndefined()
    expect(await system.replicas[1].find(id)).toBeUndefined()
  })

  it.each([
    [20, 20_000],
    [3_600, 60_000],
    [0, 5_000],
    [Number.NaN, 5_000],
    ['7', 5_000],
    [undefined, 5_000],
  ])('waits for a Retry-After of %p s: %p ms', async (retryAfterSeconds, delayMs) => {
    answer = () => Promise.reject(refused('temporarily_unavailable', { retryAfterSeconds }))
    const { access } = await start()
    clock.advance(120_000)
    await access(0)
    clock.advance(delayMs - 1)
    await access(1)
    expect(asked).toHaveLength(1)
    clock.advance(1)
    await access(1)
    expect(asked).toHaveLength(2)
  })

  it('uses the next refresh token of an answer that failed verification, because the old one no longer works', async () => {
    answer = () => Promise.reject(refused('invalid_signature', { rotatedRefreshToken: 'refresh 1b' }))
    const { access } = await start()
    clock.advance(90_000)
    expect(await access()).toBe('access 1')
    answer = async () => tokens('2')
    clock.advance(5_000)
    expect([await access(), asked]).toEqual(['access 2', ['refresh 1', 'refresh 1b']])
  })

  it('logs each kind of failure once until a renewal succeeds, without the token', async () => {
    const { access } = await start()
    for (const error of [
      refused('invalid_client', {}, 'Client refresh 1 is unknown.'),
      refused('invalid_client'),
      refused('server_error', {}, 'Down for maintenance.'),
      refused(`${'x'.repeat(65)}`, {}, 'A long code.'),
    ]) {
      answer = () => Promise.reject(error)
      clock.advance(120_000)
      await access()
    }
    const logged = () => lines.map((line) => JSON.parse(line) as { code: string; msg: string })
    expect(logged().map(({ code, msg }) => [code, msg])).toEqual([
      ['invalid_client', 'access token not renewed, the sessions continue: invalid_client'],
      ['server_error', 'access token not renewed, the sessions continue: Down for maintenance.'],
      ['unknown_error', 'access token not renewed, the sessions continue: A long code.'],
    ])
    answer = async () => tokens('2')
    clock.advance(60_000)
    expect(await access()).toBe('access 2')
    answer = () => Promise.reject(refused('server_error'))
    clock.advance(120_000)
    await access()
    expect(logged().at(-1)?.code).toBe('server_error')
    expect(lines).toHaveLength(4)
  })

  it('does not hold a page while the provider does not answer, and renews in the background', async () => {
    let arrive: (renewed: Tokens) => void = () => {}
    answer = () => new Promise<Tokens>((resolve) => (arrive = resolve))
    const { access } = await start()
    const timed = async (replica = 0) => {
      const started = performance.now()
      const token = await access(replica)
      return [token, Math.round((performance.now() - started) / 500) * 500]
    }
    // Less than a lease before the expiry.
    clock.advance(110_000)
    expect(await Promise.all([timed(), timed(), timed(1)])).toEqual(Array(3).fill(['access 1', 1_000]))
    clock.advance(10_000)
    expect(await Promise.all([timed(), timed(1)])).toEqual(Array(2).fill([undefined, 2_000]))
    arrive(tokens('2'))
    await replicas[0]?.settle()
    expect([await timed(1), asked]).toEqual([['access 2', 0], ['refresh 1']])
  })

  it('has no token after the expiry of one that cannot be renewed', async () => {
    const { access, current } = await start({ ...tokens('1'), refreshToken: undefined })
    clock.advance(119_999)
    expect(await access()).toBe('access 1')
    clock.advance(1)
    expect(await access()).toBeUndefined()
    const session = await current()
    expect(session && accessSummary(session.tokens, clock.now()).canRefresh).toBe(false)
  })

  describe('without expires_in in the answer', () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const jwt = (exp: unknown, name = '1') => ({
      ...tokens(name),
      accessToken: `${part({ alg: 'RS256' })}.${part({ exp })}.c2lnbmF0dXJl`,
      expiresInSeconds: undefined,
    })

    it('renews a JWT by its exp', async () => {
      clock.advance(1_000 - (clock.now() % 1_000))
      const { access, current } = await start(jwt(clock.now() / 1000 + 120))
      clock.advance(89_999)
      await access()
      expect(asked).toEqual([])
      clock.advance(1)
      expect(await access()).toBe('access 2')
      expect(asked).toEqual(['refresh 1'])
      const session = await current()
      expect(session && accessSummary(session.tokens, clock.now()).expiresAt).toBe(clock.now() + 120_000)
    })

    // A past one would renew the token for every request, a late one is no date.
    it.each([0, -1, 1e300, '9999999999', null, undefined])('does not use the exp %p', async (exp) => {
      const first = jwt(exp)
      const { access } = await start(first)
      clock.advance(900_000)
      expect([await access(), asked]).toEqual([first.accessToken, []])
    })

    it('prefers expires_in', async () => {
      const { current } = await start({ ...jwt(clock.now() / 1000 + 900), expiresInSeconds: 120 })
      const session = await current()
      expect(session && accessSummary(session.tokens, clock.now()).expiresAt).toBe(clock.now() + 120_000)
    })
  })

  it('uses a token without a stated lifetime until the provider rejects it', async () => {
    const { access, current } = await start({ ...tokens('1'), expiresInSeconds: undefined })
    clock.advance(900_000)
    expect(await access()).toBe('access 1')
    const session = await current()
    expect(session && accessSummary(session.tokens, clock.now()).expiresAt).toBeUndefined()
  })
})
