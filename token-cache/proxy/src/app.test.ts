import { afterEach, describe, expect, it } from '@jest/globals'
import { startTier, type TestTier, type TierOptions, until } from './testing/tier.ts'

let tier: TestTier
afterEach(() => tier.stop())
const start = async (options?: TierOptions) => {
  tier = await startTier(options)
}

const claimsOf = async (response: Promise<Response>) =>
  (await (await response).json()) as { sub: string; jti: string; aud: string; exp: number }

const KEYVALS = '/api/8/http/keyvals/tokens'
const block = (key: string, proxy = 0) =>
  tier.operate(proxy, `${KEYVALS}/`, { method: 'PATCH', body: JSON.stringify({ [key]: '0' }) })

/** The documented bound of one second, in real time. */
const WITHIN_A_SECOND = 1_000

describe('a request', () => {
  it('reaches the API with a token for its user, and the second one with the same token, on either proxy', async () => {
    await start()
    const first = await claimsOf(tier.get(0, 'user1'))
    expect(first).toMatchObject({ sub: 'user1', aud: 'test-api' })
    expect((await claimsOf(tier.get(0, 'user1'))).jti).toBe(first.jti)
    expect((await claimsOf(tier.get(1, 'user1'))).jti).toBe(first.jti)
    expect(tier.issuer.calls).toEqual(['user1'])
  })

  it.each([1_000, 2_000, -2_000])(
    'of a new user is served if the issuer’s clock is %d ms ahead, on both proxies',
    async (aheadMs) => {
      await start()
      tier.issuer.aheadMs = aheadMs
      expect((await tier.get(0, 'user1')).status).toBe(200)
      expect((await tier.get(1, 'user1')).status).toBe(200)
      expect(tier.issuer.calls).toEqual(['user1'])
    },
  )

  it('of a new user is rejected with CLOCK_TOLERANCE_SECONDS=0 if the issuer’s clock is ahead', async () => {
    await start({ env: { CLOCK_TOLERANCE_SECONDS: '0' } })
    tier.issuer.aheadMs = 1_000
    const answer = await tier.get(0, 'user1')
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: { code: 'no_token' } }])
  })

  it('never carries a token that the API’s clock, 2 s ahead, would reject', async () => {
    await start({ env: { MARGIN_SECONDS: '0' } })
    tier.issuer.lifetimeSeconds = 10
    const first = await claimsOf(tier.get(0, 'user1'))
    tier.clock.advance(10_000)
    expect((await claimsOf(tier.get(0, 'user1'))).jti).not.toBe(first.jti)
  })

  it('of another user, or with another agent, has another token', async () => {
    await start()
    const tokens = await Promise.all([
      claimsOf(tier.get(0, 'user1')),
      claimsOf(tier.get(0, 'user2')),
      claimsOf(tier.get(0, 'user1', { agent: 'other' })),
    ])
    expect(new Set(tokens.map(({ jti }) => jti)).size).toBe(3)
    expect(tokens.map(({ sub }) => sub)).toEqual(['user1', 'user2', 'user1'])
  })

  it('reaches the API without the fields between the tiers and without its own credentials', async () => {
    await start()
    await tier.get(0, 'user1', {
      headers: { authorization: 'Basic dXNlcjpwYXNz', 'x-forwarded-for': '192.0.2.1', 'x-kept': 'yes' },
    })
    const { headers } = tier.seen[0] as TestTier['seen'][0]
    expect(headers.authorization).toMatch(/^Bearer eyJ/)
    expect(headers['remote-user']).toBeUndefined()
    expect(headers['x-hallpass-tier']).toBeUndefined()
    expect(headers).toMatchObject({ 'x-kept': 'yes', 'x-forwarded-for': '192.0.2.1' })
    expect(headers['x-request-id']).toMatch(/^[\w-]{36}$/)
    expect(headers.traceparent).toMatch(/^00-/)
  })

  it('is logged in one line, with the token’s jti', async () => {
    await start()
    const { jti } = await claimsOf(tier.get(0, 'user1'))
    await tier.get(1, 'user1')
    await until(() => tier.lines.filter((line) => line.includes('"request"')).length === 2)
    const [miss, hit] = tier.lines
      .filter((line) => line.includes('"request"'))
      .map((line) => JSON.parse(line))
    expect(miss).toMatchObject({
      method: 'GET',
      path: '/',
      status: 200,
      us: 200,
      cs: 'MISS',
      jti,
      agent: 'curl/7.86.0',
    })
    expect(hit).toMatchObject({ cs: 'HIT', jti })
    expect(miss.ua).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(tier.lines.join()).not.toContain('eyJ')
  })

  it('is 400 if the balancer’s remote-user is not one valid user', async () => {
    await start()
    const nobody = await tier.get(0, '')
    expect(nobody.status).toBe(400)
    expect(await nobody.json()).toMatchObject({ error: { code: 'malformed_identity' } })
    const two = await tier.get(0, 'user1, admin')
    expect(two.status).toBe(400)
    expect(tier.issuer.calls).toEqual([])
  })

  it('with TRACE is rejected, because its response would contain the token', async () => {
    await start()
    const { connect } = await import('node:net')
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(tier.proxies[0]?.url as string).port), '127.0.0.1', () =>
        socket.write('TRACE / HTTP/1.1\r\nhost: localhost\r\nremote-user: u\r\nconnection: close\r\n\r\n'),
      )
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('close', () => resolve(text))
    })
    expect(answer).toContain('405 Method Not Allowed')
    expect(tier.seen).toEqual([])
  })
})

describe('the lifetime of a token in the cache', () => {
  it('ends after the documented 300 seconds, regardless of the token’s own expiry', async () => {
    await start({ proxies: 1 })
    const [one, two] = await Promise.all([claimsOf(tier.get(0, 'user1')), claimsOf(tier.get(0, 'user2'))])
    // Until then, it is renewed in the background while requests get the old one; from then on, requests wait for the new one.
    tier.clock.advance(299_999)
    expect((await claimsOf(tier.get(0, 'user1'))).jti).toBe(one.jti)
    tier.clock.advance(1)
    expect((await claimsOf(tier.get(0, 'user2'))).jti).not.toBe(two.jti)
  })

  it('is renewed ahead of time, after 75 to 85% of it, while requests use the old token', async () => {
    await start({ proxies: 1 })
    const old = await claimsOf(tier.get(0, 'user1'))
    tier.clock.advance(0.74 * 300_000)
    await tier.get(0, 'user1')
    expect(tier.issuer.calls.length).toBe(1)
    tier.clock.advance(0.12 * 300_000)
    tier.issuer.delayMs = 50
    expect((await claimsOf(tier.get(0, 'user1'))).jti).toBe(old.jti)
    await until(() => tier.issuer.calls.length === 2)
    await until(async () => (await claimsOf(tier.get(0, 'user1'))).jti !== old.jti)
    expect(tier.issuer.calls.length).toBe(2)
    expect(await tier.figures(0)).toMatchObject({ misses: 1, renewals: 1, issuerCalls: 2 })
  })

  it('is renewed by one proxy for both', async () => {
    await start()
    const old = await claimsOf(tier.get(0, 'user1'))
    await tier.get(1, 'user1')
    tier.clock.advance(0.86 * 300_000)
    await Promise.all(Array.from({ length: 20 }, (_, i) => tier.get(i % 2, 'user1')))
    await until(async () => {
      tier.clock.advance(1_100)
      const jtis = [await claimsOf(tier.get(0, 'user1')), await claimsOf(tier.get(1, 'user1'))].map(
        ({ jti }) => jti,
      )
      return jtis[0] === jtis[1] && jtis[0] !== old.jti
    })
    expect(tier.issuer.calls.length).toBe(2)
  })

  it('lasts until shortly before the token’s own expiry while the issuer is down; then 503, and it recovers', async () => {
    await start({ proxies: 1 })
    tier.issuer.lifetimeSeconds = 900
    const { jti } = await claimsOf(tier.get(0, 'user1'))
    await tier.issuer.stop()
    tier.clock.advance(600_000)
    expect((await claimsOf(tier.get(0, 'user1'))).jti).toBe(jti)
    tier.clock.advance(294_900)
    expect((await claimsOf(tier.get(0, 'user1'))).jti).toBe(jti)
    tier.clock.advance(100)
    const late = await tier.get(0, 'user1')
    expect(late.status).toBe(503)
    expect(late.headers.get('retry-after')).toBe('1')
    expect(await late.json()).toMatchObject({ error: { code: 'no_token' } })
    await tier.issuer.start()
    tier.clock.advance(1_001)
    expect((await claimsOf(tier.get(0, 'user1'))).jti).not.toBe(jti)
    expect((await tier.figures(0)).stale).toBeGreaterThanOrEqual(2)
  })

  it('does not cause a call to a failing issuer for each request', async () => {
    await start({ proxies: 1 })
    await tier.get(0, 'user1')
    tier.clock.advance(400_000)
    tier.issuer.answer = (_user, response) => void response.writeHead(500).end('oops')
    for (let request = 0; request < 20; request += 1) expect((await tier.get(0, 'user1')).status).toBe(200)
    expect(tier.issuer.calls.length).toBe(2)
  })

  it('ends when the auth tier denies the user, even if the old token has not expired', async () => {
    await start({ proxies: 1 })
    await tier.get(0, 'user1')
    tier.clock.advance(300_000)
    tier.issuer.answer = (_user, response) => void response.writeHead(403).end('{}')
    const denied = await tier.get(0, 'user1')
    expect(denied.status).toBe(403)
    expect(await denied.json()).toMatchObject({ error: { code: 'user_denied' } })
  })
})

describe('AL-60 choosing a cache key', () => {
  it('AL-60 is impossible for callers other than the balancer', async () => {
    await start()
    await tier.get(0, 'user1')
    for (const headers of [
      { 'remote-user': 'user1', 'user-agent': 'curl/7.86.0' },
      { 'remote-user': 'user1', 'user-agent': 'curl/7.86.0', 'x-hallpass-tier': 'x'.repeat(43) },
      { 'remote-user': 'user1', 'user-agent': 'curl/7.86.0', 'x-hallpass-tier': '' },
    ]) {
      const response = await fetch(tier.proxies[0]?.url as string, { headers })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm=/)
      expect(await response.json()).toMatchObject({ error: { code: 'not_from_balancer' } })
    }
    expect(tier.seen.length).toBe(1)
  })

  it('AL-60 does not reach another user by colons in a field', async () => {
    await start()
    const one = await claimsOf(tier.get(0, 'a', { agent: 'b:c' }))
    const other = await claimsOf(tier.get(0, 'a:b', { agent: 'c' }))
    expect([one.sub, other.sub]).toEqual(['a', 'a:b'])
    expect(one.jti).not.toBe(other.jti)
    const pairs = (await (await tier.operate(0, KEYVALS)).json()) as object
    expect(Object.keys(pairs).sort()).toEqual(['a%3Ab:c', 'a:b:c'])
    await block('a:b:c')
    expect((await tier.get(0, 'a', { agent: 'b:c' })).status).toBe(403)
    expect((await tier.get(0, 'a:b', { agent: 'c' })).status).toBe(200)
  })

  it('AL-60 is not possible by X-Forwarded-For, which is not part of the key unless configured', async () => {
    await start()
    await tier.get(0, 'user1', { headers: { 'x-forwarded-for': '192.0.2.1' } })
    await tier.get(0, 'user1', { headers: { 'x-forwarded-for': '192.0.2.2' } })
    expect(tier.issuer.calls.length).toBe(1)
  })

  it('AL-60 does not escape a block of the user by another agent', async () => {
    await start()
    await tier.get(0, 'user1')
    await tier.get(1, 'user1', { agent: 'second' })
    const added = await tier.operate(0, KEYVALS, { method: 'POST', body: '{"user1":"0"}' })
    expect(added.status).toBe(201)
    await until(async () => (await tier.get(1, 'user1', { agent: 'second' })).status === 403, WITHIN_A_SECOND)
    for (const agent of ['curl/7.86.0', 'second', 'third', ''])
      expect((await tier.get(0, 'user1', { agent })).status).toBe(403)
    expect((await tier.get(0, 'user2')).status).toBe(200)
    await tier.operate(1, KEYVALS, { method: 'PATCH', body: '{"user1":null}' })
    await until(async () => (await tier.get(0, 'user1')).status === 200, WITHIN_A_SECOND)
  })
})

describe('AL-61 an issuer’s response that is not a valid token', () => {
  it.each([
    ['an error page with 200', 200, '<html>Bad gateway, with more than ten characters</html>'],
    ['an error page with 500', 500, '<html>oops</html>'],
    ['nothing', 200, ''],
    ['a redirect', 302, 'https://elsewhere.test/'],
  ])('AL-61 is not cached: %s', async (_what, status, body) => {
    await start({ proxies: 1 })
    tier.issuer.answer = (_user, response) => void response.writeHead(status).end(body)
    const refused = await tier.get(0, 'user1')
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ error: { code: 'no_token' } })
    expect(tier.seen).toEqual([])
    tier.issuer.answer = undefined
    tier.clock.advance(2_000)
    expect((await tier.get(0, 'user1')).status).toBe(200)
  })

  it('AL-61 is rejected: a token of another user, audience or issuer, or an expired one', async () => {
    await start({ proxies: 1 })
    const wrong: (() => Promise<string>)[] = [
      () => tier.issuer.tokenFor('admin'),
      () => tier.issuer.tokenFor('user1', { aud: 'other' }),
      () => tier.issuer.tokenFor('user1', { iss: 'https://other.test/' }),
      () => {
        tier.issuer.lifetimeSeconds = -1
        return tier.issuer.tokenFor('user1')
      },
      () => {
        tier.issuer.lifetimeSeconds = 10 * 365 * 86_400
        return tier.issuer.tokenFor('user1')
      },
    ]
    for (const make of wrong) {
      const token = await make()
      tier.issuer.answer = (_user, response) => void response.end(token)
      expect((await tier.get(0, 'user1')).status).toBe(503)
      tier.clock.advance(2_000)
    }
    expect(tier.seen).toEqual([])
    expect(tier.lines.join()).not.toContain('eyJ')
  })

  it('AL-61 is cached as a rejection for at most two seconds', async () => {
    await start()
    tier.issuer.answer = (_user, response) => void response.writeHead(403).end('{}')
    expect((await tier.get(0, 'user1')).status).toBe(403)
    expect((await tier.get(1, 'user1')).status).toBe(403)
    expect(tier.issuer.calls.length).toBe(1)
    tier.issuer.answer = undefined
    tier.clock.advance(2_000)
    expect((await tier.get(1, 'user1')).status).toBe(200)
  })
})

describe('AL-62 a stampede', () => {
  it('AL-62 of 400 first requests at two proxies causes one call to the issuer', async () => {
    await start()
    tier.issuer.delayMs = 100
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, i) => claimsOf(tier.get(i % 2, 'user1'))),
    )
    expect(new Set(answers.map(({ jti }) => jti)).size).toBe(1)
    expect(tier.issuer.calls).toEqual(['user1'])
  })

  it('AL-62 gets 504 after a timeout if the issuer hangs', async () => {
    await start({ env: { ISSUER_TIMEOUT_MS: '150' } })
    tier.issuer.answer = () => {}
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => tier.get(i % 2, 'user1')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([504]))
    expect(answers[0]?.headers.get('retry-after')).toBe('1')
    const { error } = (await (answers[0] as Response).json()) as { error: unknown }
    expect(error).toMatchObject({
      code: 'peer_timeout',
      message: expect.stringMatching(/^token-cache-auth at .* did not answer within 150 ms\.$/),
    })
    expect(tier.issuer.calls.length).toBe(1)
  })
})

describe('AL-63 an expired token', () => {
  it('AL-63 is never sent: its cache entry expires before the token', async () => {
    await start({ proxies: 1 })
    tier.issuer.lifetimeSeconds = 30
    const first = await claimsOf(tier.get(0, 'user1'))
    for (let second = 0; second < 90; second += 1) {
      tier.clock.advance(1_000)
      const { exp } = await claimsOf(tier.get(0, 'user1'))
      expect(exp * 1000 - tier.clock.now()).toBeGreaterThanOrEqual(5_000)
    }
    expect(first.exp * 1000).toBeLessThan(tier.clock.now())
  })

  it('AL-63 is not cached if it expires within the margin', async () => {
    await start({ proxies: 1 })
    tier.issuer.lifetimeSeconds = 4
    const refused = await tier.get(0, 'user1')
    expect(refused.status).toBe(503)
    expect(tier.seen).toEqual([])
  })

  it('AL-63 is not sent with a request that waited too long for a connection to the API', async () => {
    await start({ proxies: 1, env: { API_MAX_CONNECTIONS: '1' } })
    await tier.get(0, 'user1')
    let release = () => {}
    tier.answer = (_request, response) => {
      release = () => response.end('late')
    }
    const first = tier.get(0, 'user1')
    await until(() => tier.seen.length === 2)
    const second = tier.get(0, 'user1')
    await until(async () => (await tier.figures(0)).hits === 2)
    tier.clock.advance(3600_000)
    release()
    expect((await first).status).toBe(200)
    const late = await second
    expect(late.status).toBe(503)
    expect(await late.json()).toMatchObject({ error: { code: 'token_ended' } })
    expect(tier.seen.length).toBe(2)
  })
})

describe('AL-64 the key-value API', () => {
  it('AL-64 cannot be reached through the balancer: its paths go to the API', async () => {
    await start({ proxies: 1 })
    tier.answer = (request, response) => void response.end(`the API's own ${request.url}`)
    const response = await tier.get(0, 'user1', { path: '/api/8/http/keyvals/tokens', method: 'DELETE' })
    expect(await response.text()).toBe("the API's own /api/8/http/keyvals/tokens")
    const dashboard = await tier.get(0, 'user1', { path: '/dashboard.html' })
    expect(await dashboard.text()).toBe("the API's own /dashboard.html")
  })

  it('AL-64 rejects requests that another proxy on this machine forwards, and pages of other sites', async () => {
    await start({ proxies: 1 })
    await tier.get(0, 'user1')
    for (const headers of [
      { 'x-forwarded-for': '192.0.2.1' },
      { forwarded: 'for=192.0.2.1' },
      { via: '1.1 proxy' },
    ]) {
      const response = await tier.operate(0, KEYVALS, { method: 'DELETE', headers })
      expect(response.status).toBe(401)
    }
    for (const headers of [{ origin: 'https://evil.test' }, { 'sec-fetch-site': 'cross-site' }]) {
      const response = await tier.operate(0, KEYVALS, { method: 'POST', body: '{"x:y":"0"}', headers })
      expect(response.status).toBe(403)
    }
    expect(await (await tier.operate(0, KEYVALS)).json()).toHaveProperty(['user1:curl/7.86.0'])
  })

  it('AL-64 accepts no tokens: the only value that can be written is the block', async () => {
    await start({ proxies: 1 })
    const token = await tier.issuer.tokenFor('user1')
    const planted = await tier.operate(0, KEYVALS, {
      method: 'POST',
      body: JSON.stringify({ 'user1:x': token }),
    })
    expect(planted.status).toBe(400)
    expect(await planted.json()).toMatchObject({ error: { status: 400, code: 'KeyvalFormatError' } })
  })

  it('AL-64 never shows a token', async () => {
    await start({ proxies: 1 })
    const { jti } = await claimsOf(tier.get(0, 'user1'))
    for (const path of [
      '/api/8/http/keyvals/',
      KEYVALS,
      `${KEYVALS}?key=user1:curl/7.86.0`,
      '/status',
      '/metrics',
    ]) {
      const text = await (await tier.operate(0, path)).text()
      expect(text).not.toContain('eyJ')
      if (path.includes('keyvals')) expect(text).toContain(jti)
    }
  })
})

describe('a block', () => {
  it('reaches every proxy within a second, and lasts until it expires', async () => {
    await start()
    await tier.get(0, 'user1')
    await tier.get(1, 'user1')
    expect((await block('user1:curl/7.86.0')).status).toBe(204)
    expect((await tier.get(0, 'user1')).status).toBe(403)
    await until(async () => (await tier.get(1, 'user1')).status === 403, WITHIN_A_SECOND)
    tier.clock.advance(299_000)
    for (const proxy of [0, 1]) expect((await tier.get(proxy, 'user1')).status).toBe(403)
    expect(tier.issuer.calls.length).toBe(1)
  })

  it('is the documented page for callers that do not accept JSON', async () => {
    await start({ proxies: 1 })
    await tier.get(0, 'user1')
    await block('user1:curl/7.86.0')
    const page = await tier.get(0, 'user1', { headers: { accept: '*/*' } })
    expect([page.status, page.headers.get('content-type')]).toEqual([403, 'text/html'])
    expect(await page.text()).toContain('<center><h1>403 Forbidden</h1></center>')
    const json = await tier.get(0, 'user1', { headers: { accept: 'application/json' } })
    expect(await json.json()).toEqual({
      error: { code: 'blocked', message: 'An operator has blocked this caller.' },
    })
  })

  it('applies to a request whose token is being fetched', async () => {
    await start()
    tier.issuer.delayMs = 150
    const waiting = tier.get(0, 'user1')
    await until(() => tier.issuer.calls.length === 1)
    expect(
      (await tier.operate(1, KEYVALS, { method: 'POST', body: '{"user1:curl/7.86.0":"0"}' })).status,
    ).toBe(201)
    expect((await waiting).status).toBe(403)
    expect((await tier.get(1, 'user1')).status).toBe(403)
    expect(tier.seen).toEqual([])
  })

  it('applies during a renewal', async () => {
    await start({ proxies: 1 })
    await tier.get(0, 'user1')
    tier.clock.advance(0.9 * 300_000)
    tier.issuer.delayMs = 150
    await tier.get(0, 'user1')
    await until(() => tier.issuer.calls.length === 2)
    await block('user1:curl/7.86.0')
    await new Promise((resolve) => setTimeout(resolve, 250))
    expect((await tier.get(0, 'user1')).status).toBe(403)
  })

  it('is ended by null, and the next request gets a new token', async () => {
    await start()
    const { jti } = await claimsOf(tier.get(0, 'user1'))
    await block('user1:curl/7.86.0')
    const lifted = await tier.operate(1, KEYVALS, { method: 'PATCH', body: '{"user1:curl/7.86.0":null}' })
    expect(lifted.status).toBe(204)
    await until(async () => (await tier.get(0, 'user1')).status === 200, WITHIN_A_SECOND)
    expect((await claimsOf(tier.get(1, 'user1'))).jti).not.toBe(jti)
  })
})
