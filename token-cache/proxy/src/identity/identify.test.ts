import { ManualClock } from '@hallpass/service-kit/testing'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { startIssuer, type TestIssuer } from '../testing/issuer.ts'
import { startTier, type TestTier } from '../testing/tier.ts'

const CALLER_ISSUER = 'http://localhost:1/'
const clock = new ManualClock(Math.ceil(Date.now() / 1000) * 1000)

let callers: TestIssuer
let tier: TestTier
beforeEach(async () => {
  callers = await startIssuer(clock.now)
  const env = {
    IDENTITY: 'bearer',
    CALLER_ISSUER,
    CALLER_JWKS_URL: `${callers.url}/.well-known/jwks.json`,
  }
  tier = await startTier({ env, proxies: 1, clock })
})
afterEach(async () => {
  await tier.stop()
  await callers.stop()
})

const INVALID = { error: { code: 'invalid_token' } }

const tokenOf = (sub: string, claims = {}) =>
  callers.tokenFor(sub, { iss: CALLER_ISSUER, aud: 'token-cache', scope: 'cache', ...claims })
const ask = (token: string | undefined) =>
  fetch(`${tier.proxies[0]?.url}/`, {
    headers: { 'remote-user': 'root', ...(token ? { authorization: `Bearer ${token}` } : {}) },
  })

describe('a caller with a token of its own (IDENTITY=bearer)', () => {
  it('is identified by its subject, not by remote-user; the API receives only a token for itself', async () => {
    const own = await tokenOf('alice')
    const first = (await (await ask(own)).json()) as { sub: string; jti: string }
    expect(first.sub).toBe('alice')
    expect(tier.issuer.calls).toEqual(['alice'])
    // The caller's next token uses the same cache entry.
    const second = (await (await ask(await tokenOf('alice'))).json()) as { jti: string }
    expect(second.jti).toBe(first.jti)
    expect(tier.seen.map(({ headers }) => headers['remote-user'])).toEqual([undefined, undefined])
    expect(tier.seen.map(({ headers }) => headers.authorization)).not.toContain(`Bearer ${own}`)
  })

  it.each([
    ['no token', () => undefined, { message: 'no token provided' }],
    ['a token for another audience', () => tokenOf('alice', { aud: 'other' }), INVALID],
    ['a token of another issuer', () => tokenOf('alice', { iss: 'http://other/' }), INVALID],
    ['a string that is not a token', () => 'abc', INVALID],
    ['an ID token', () => tokenOf('alice', { scope: '' }), INVALID],
    ['an ID token with a scope', () => tokenOf('alice', { at_hash: 'h' }), INVALID],
  ])('is rejected with a challenge if it sends %s', async (_what, token, body) => {
    const answer = await ask(await token())
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="token-cache"/)
    expect(await answer.json()).toMatchObject(body)
    expect(tier.issuer.calls).toEqual([])
  })

  it('is rejected if its token has an algorithm that TOKEN_ALGORITHMS does not name', async () => {
    const env = {
      IDENTITY: 'bearer',
      CALLER_ISSUER,
      CALLER_JWKS_URL: `${callers.url}/.well-known/jwks.json`,
      TOKEN_ALGORITHMS: 'PS512',
    }
    const strict = await startTier({ env, proxies: 1, clock })
    try {
      const answer = await fetch(`${strict.proxies[0]?.url}/`, {
        headers: { authorization: `Bearer ${await tokenOf('alice')}` },
      })
      expect([answer.status, await answer.json()]).toMatchObject([
        401,
        { error: { code: 'invalid_token', message: 'invalid algorithm' } },
      ])
    } finally {
      await strict.stop()
    }
  })

  it.each(['Renée', 'a,b', 'x'.repeat(129), 'two words'])(
    'is rejected if its subject is not a valid user name: %s',
    async (sub) => {
      const answer = await ask(await tokenOf(sub))
      expect(answer.status).toBe(400)
      expect(await answer.json()).toEqual({
        error: {
          code: 'malformed_identity',
          message: 'The subject of the token must be 1 to 128 visible ASCII characters without a comma.',
        },
      })
      expect(tier.issuer.calls).toEqual([])
    },
  )

  it('is rejected as soon as its token expires and the clock tolerance has passed, even if it was just accepted', async () => {
    const token = await tokenOf('alice')
    expect((await ask(token)).status).toBe(200)
    clock.advance(3_604_999)
    expect((await ask(token)).status).toBe(200)
    clock.advance(1)
    expect((await ask(token)).status).toBe(401)
  })

  it('is accepted if its issuer’s clock is 2 s ahead', async () => {
    callers.aheadMs = 2_000
    expect((await ask(await tokenOf('alice'))).status).toBe(200)
  })
})
