import { UserAgent } from '@hallpass/pages/testing'
import { generateSigningKey, type SigningKey } from '@hallpass/tokens'
import { forgeToken } from '@hallpass/tokens/testing'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

const EVENTS = { 'http://schemas.openid.net/event/backchannel-logout': {} }

describe('POST /backchannel-logout', () => {
  const webUi = useWebUi()

  const send = (token: string | undefined) =>
    new UserAgent().step(
      'POST',
      `${webUi.url}/backchannel-logout`,
      { 'content-type': 'application/x-www-form-urlencoded' },
      new URLSearchParams(token === undefined ? {} : { logout_token: token }).toString(),
    )
  const logoutToken = (claims: Record<string, unknown> = {}) =>
    webUi.provider.idToken({ events: EVENTS, sid: 'session-1', ...claims }, { typ: 'logout+jwt' })
  /** Signs a logout token with claims that the signer refuses. */
  const forgedWith = async (changed: Record<string, unknown>) => {
    const [header, claims] = (await logoutToken())
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()))
    const key = webUi.provider.key as SigningKey
    return forgeToken({ header, claims: { ...claims, ...changed }, key, alg: 'RS256' })
  }

  it('ends the session that the provider has ended', async () => {
    const { agent } = await webUi.logIn()
    expect((await send(await logoutToken())).status).toBe(200)
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  })

  it('ends every session of a user if the token contains no session ID', async () => {
    const [one, two] = [await webUi.logIn(), await webUi.logIn()]
    expect((await send(await logoutToken({ sid: undefined }))).status).toBe(200)
    expect([await webUi.isLoggedIn(one.agent), await webUi.isLoggedIn(two.agent)]).toEqual([false, false])
  })

  it('does not affect other sessions', async () => {
    const { agent } = await webUi.logIn()
    await send(await logoutToken({ sid: 'another-session' }))
    await send(await logoutToken({ sid: undefined, sub: 'ben' }))
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('ends a session that began without a session ID, with a token that contains one', async () => {
    webUi.provider.tricks = { idToken: (claims) => ({ ...claims, sid: undefined }) }
    const { agent } = await webUi.logIn()
    await send(await logoutToken({ sub: 'ben' }))
    expect(await webUi.isLoggedIn(agent)).toBe(true)
    expect((await send(await logoutToken())).status).toBe(200)
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  })

  it.each([
    ['sid', 7],
    ['sid', null],
    ['sub', 7],
  ])('rejects a token whose %s is %p: it would end other sessions than it says', async (claim, value) => {
    const { agent } = await webUi.logIn()
    const answer = await send(await forgedWith({ [claim]: value }))
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      400,
      {
        error: 'invalid_request',
        error_description: expect.stringContaining(claim),
        code: 'invalid_request',
      },
    ])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  const event = (value: unknown) => ({ events: { [Object.keys(EVENTS)[0] as string]: value } })

  it.each([
    ['has no iat', { iat: undefined }, 'this is not a logout token: has no iat'],
    ...[true, null, 'x', 7, []].map(
      (value) =>
        [
          `has the event ${JSON.stringify(value)}`,
          event(value),
          'this is not a logout token: its event is not an object',
        ] as const,
    ),
  ])('rejects a token that %s', async (_what, claims, error_description) => {
    const { agent } = await webUi.logIn()
    const answer = await send(await forgedWith(claims))
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      400,
      { error: 'invalid_request', error_description, code: 'invalid_request' },
    ])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('accepts an event with members', async () => {
    expect((await send(await logoutToken(event({ reason: 'x' })))).status).toBe(200)
  })

  it('accepts an audience list that contains this client', async () => {
    const { agent } = await webUi.logIn()
    const answer = await send(await logoutToken({ aud: ['another-client', 'web-ui'] }))
    expect([answer.status, answer.body, answer.headers.get('cache-control')]).toEqual([200, '', 'no-store'])
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  })

  it.each([
    ['of a session', {}],
    ['of a user', { sid: undefined }],
  ])('accepts a token %s once: a replay ends no session that began later', async (_what, claims) => {
    await webUi.logIn()
    const token = await logoutToken(claims)
    expect((await send(token)).status).toBe(200)
    const { agent } = await webUi.logIn()
    const replay = await send(token)
    expect([replay.status, replay.headers.get('cache-control'), JSON.parse(replay.body)]).toEqual([
      400,
      'no-store',
      {
        error: 'invalid_request',
        error_description: 'This logout token was used before (jti).',
        code: 'logout_token_used',
      },
    ])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
    // Another token of the same session or user still works.
    expect((await send(await logoutToken(claims))).status).toBe(200)
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  })

  it('accepts one of concurrent requests with the same token', async () => {
    const token = await logoutToken()
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(token)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400])
  })

  it('tolerates a provider whose clock differs by 2 s, but not by 10 s', async () => {
    for (const [aheadMs, status] of [
      [2_000, 200],
      [-602_000, 200],
      [10_000, 400],
      [-610_000, 400],
    ] as const) {
      webUi.provider.tricks = { aheadMs }
      expect([aheadMs, (await send(await logoutToken())).status]).toEqual([aheadMs, status])
    }
  })

  it.each([
    ['an ID token', { events: undefined, nonce: 'n' }, /not a logout token/],
    ['a token with a nonce', { nonce: 'n' }, /not a logout token/],
    ['a token of another event', { events: { 'http://example.com/other': {} } }, /not a logout token/],
    ['a token without subject and session', { sid: undefined, sub: undefined }, /not a logout token/],
    ['a list of other clients', { aud: ['one', 'other'] }, /jwt audience invalid/],
    ['a token for another client', { aud: 'somebody-else' }, /jwt audience invalid/],
    ['a token of another issuer', { iss: 'https://mallory.example' }, /jwt issuer invalid/],
  ])('rejects %s', async (_what, claims, message) => {
    const { agent } = await webUi.logIn()
    const answer = await send(await logoutToken(claims))
    expect([answer.status, answer.body]).toEqual([400, expect.stringMatching(message)])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it.each([undefined, '', 7])(
    'rejects a token with the ID %p: a replay of it could not be told',
    async (jti) => {
      const { agent } = await webUi.logIn()
      const answer = await send(await forgedWith({ jti }))
      expect([answer.status, answer.body]).toEqual([
        400,
        expect.stringContaining('this is not a logout token: has no jti'),
      ])
      expect(await webUi.isLoggedIn(agent)).toBe(true)
    },
  )

  it('rejects a token that the provider has not signed', async () => {
    const { agent } = await webUi.logIn()
    webUi.provider.tricks = { idTokenKey: await generateSigningKey('RS256', webUi.provider.key?.kid) }
    const answer = await send(await logoutToken())
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining('invalid signature')])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('rejects a request without a token', async () => {
    expect((await send(undefined)).body).toContain('The parameter logout_token is missing.')
  })
})
