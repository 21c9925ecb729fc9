import { hiddenField, UserAgent, type Visit } from '@hallpass/pages/testing'
import { generateSigningKey, signToken } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

const SESSION = '__Host-webui-session'
const LOGIN = '__Host-webui-login-'

describe('GET /callback', () => {
  const webUi = useWebUi()

  /** Begins a login, and stops where the browser is about to come back. */
  async function untilCallback(agent: UserAgent, path = '/login'): Promise<string> {
    const away = await agent.step('GET', webUi.url + path)
    const back = await agent.step('GET', away.headers.get('location') as string)
    return back.headers.get('location') as string
  }

  const loginCookies = (agent: UserAgent) => [...agent.cookies].filter(([name]) => name.startsWith(LOGIN))

  async function expectRefused(visit: Visit, agent: UserAgent, status: number, message: RegExp) {
    expect([visit.status, visit.body]).toEqual([status, expect.stringMatching(message)])
    expect(agent.cookies.has(SESSION)).toBe(false)
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  }

  it('logs in: the session cookie cannot be read by scripts or set by other hosts', async () => {
    const agent = new UserAgent()
    const visit = await agent.visit(`${webUi.url}/login?returnTo=/profile`)
    expect([visit.status, visit.url]).toEqual([200, `${webUi.url}/profile`])
    expect(visit.body).toContain('Ada Okafor')
    const [cookie] = agent.setCookies
      .filter((line) => line.startsWith(SESSION))
      .map((line) => line.split('; '))
    expect(cookie?.slice(1).filter((attribute) => !attribute.startsWith('Expires'))).toEqual([
      'Max-Age=28800',
      'Path=/',
      'HttpOnly',
      'Secure',
      'SameSite=Lax',
    ])
  })

  it('tolerates a provider whose clock differs by 2 s, but not by 10 s', async () => {
    const logInWith = async (aheadMs: number) => {
      webUi.provider.tricks = { aheadMs }
      return (await new UserAgent().visit(`${webUi.url}/login`)).status
    }
    expect(await logInWith(2_000)).toBe(200)
    // The provider's clock is behind by the lifetime of the ID token and a bit more.
    expect(await logInWith(-602_000)).toBe(200)
    expect(await logInWith(-610_000)).toBe(400)
  })

  it('accepts a large ID token, e.g. one with hundreds of groups, because no header has to contain it', async () => {
    webUi.provider.tricks = { idToken: (claims) => ({ ...claims, groups: 'g'.repeat(30_000) }) }
    const { agent } = await webUi.logIn()
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('rejects an ID token that would fill the store of sessions', async () => {
    webUi.provider.tricks = { idToken: (claims) => ({ ...claims, groups: 'g'.repeat(60_000) }) }
    const agent = new UserAgent()
    await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /jwt too large/)
  })

  it('puts no token and no code into a page', async () => {
    const { agent } = await webUi.logIn()
    const pages = await Promise.all(['/', '/profile', '/logout'].map((path) => agent.visit(webUi.url + path)))
    for (const { body } of pages) {
      expect(body).not.toContain('eyJ')
      for (const secret of webUi.provider.secrets) expect(secret !== '' && body.includes(secret)).toBe(false)
    }
  })

  it('requests the API by resource and by audience, at both endpoints', async () => {
    await webUi.logIn()
    const asked = webUi.provider.authorizations.at(-1)
    expect([asked?.get('resource'), asked?.get('audience')]).toEqual(['https://webui', 'https://webui'])
    expect(webUi.provider.tokenRequests.at(-1)).toMatchObject({ resource: 'https://webui' })
  })

  it('session fixation: a session ID from before the login is invalid after it', async () => {
    const planted = 'a-session-id-that-mallory-knows'
    const agent = new UserAgent()
    agent.cookies.set(SESSION, planted)
    await agent.visit(`${webUi.url}/login`)
    expect(agent.cookies.get(SESSION)).not.toBe(planted)
    const mallory = new UserAgent()
    mallory.cookies.set(SESSION, planted)
    expect(await webUi.isLoggedIn(mallory)).toBe(false)
  })

  it('session fixation: a second login ends the first session', async () => {
    const { agent } = await webUi.logIn()
    const before = agent.cookies.get(SESSION) as string
    await agent.visit(`${webUi.url}/login`)
    expect(agent.cookies.get(SESSION)).not.toBe(before)
    const thief = new UserAgent()
    thief.cookies.set(SESSION, before)
    expect(await webUi.isLoggedIn(thief)).toBe(false)
  })

  it('open redirect: the login redirects only to pages of this service, whatever returnTo contains', async () => {
    for (const elsewhere of ['https://evil.example/', '//evil.example', '/\\evil.example']) {
      const agent = new UserAgent()
      const callback = await untilCallback(agent, `/login?returnTo=${encodeURIComponent(elsewhere)}`)
      const answer = await agent.step('GET', callback)
      expect(answer.headers.get('location')).toBe('/')
    }
  })

  it('open redirect: a Host header does not change the redirect from the provider', async () => {
    const agent = new UserAgent()
    await agent.step('GET', `${webUi.url}/login`, {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
    })
    await agent.visit(`${webUi.url}/login`)
    for (const asked of webUi.provider.authorizations)
      expect(asked.get('redirect_uri')).toBe(`${webUi.url}/callback`)
  })

  describe('AL-39: answers that do not belong to the login', () => {
    it('login CSRF: rejects an answer in a browser that did not start the login', async () => {
      const callback = await untilCallback(new UserAgent())
      const victim = new UserAgent()
      await expectRefused(await victim.visit(callback), victim, 400, /not started in this browser/)
    })

    it('missing state: rejects the answer', async () => {
      webUi.provider.tricks = { redirect: (parameters) => parameters.delete('state') }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /&quot;state&quot;/)
    })

    it('wrong state: rejects the answer', async () => {
      webUi.provider.tricks = { redirect: (parameters) => parameters.set('state', 'mallory') }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /&quot;state&quot;/)
    })

    it('missing nonce: rejects the ID token', async () => {
      webUi.provider.tricks = { idToken: ({ nonce: _nonce, ...claims }) => claims }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /nonce/)
    })

    it('wrong nonce: rejects the ID token of another login', async () => {
      webUi.provider.tricks = { idToken: (claims) => ({ ...claims, nonce: 'of-another-login' }) }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /nonce/)
    })

    it('missing PKCE: always sends a challenge, with the method S256', async () => {
      await webUi.logIn()
      await webUi.logIn()
      const challenges = webUi.provider.authorizations.map((asked) => asked.get('code_challenge'))
      expect(challenges).not.toContain(null)
      expect(new Set(challenges).size).toBe(challenges.length)
      for (const asked of webUi.provider.authorizations)
        expect(asked.get('code_challenge_method')).toBe('S256')
    })

    it('missing PKCE: rejects a code of another user’s login', async () => {
      const stolen = new URL(await untilCallback(new UserAgent())).searchParams.get('code') as string
      webUi.provider.tricks = { redirect: (parameters) => parameters.set('code', stolen) }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 401, /invalid_grant/)
    })

    it('mix-up: rejects an answer with another issuer, or none (RFC 9207)', async () => {
      for (const iss of ['https://mallory.example', undefined]) {
        webUi.provider.tricks = {
          redirect: (parameters) =>
            iss === undefined ? parameters.delete('iss') : parameters.set('iss', iss),
        }
        const agent = new UserAgent()
        await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /&quot;iss&quot;/)
      }
    })

    it('replay: an answer works once', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      const stolen = loginCookies(agent)
      expect((await agent.step('GET', callback)).status).toBe(303)
      expect([stolen.length, loginCookies(agent)]).toEqual([1, []])
      const again = new UserAgent()
      for (const [name, value] of stolen) again.cookies.set(name, value)
      await expectRefused(await again.visit(callback), again, 401, /invalid_grant/)
    })

    it('rejects an answer after ten minutes', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      webUi.clock.advance(10 * 60_000)
      await expectRefused(await agent.visit(callback), agent, 400, /more than ten minutes/)
    })

    it('rejects a changed sealed login', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      const [[name, sealed]] = loginCookies(agent) as [[string, string]]
      agent.cookies.set(name, sealed.slice(0, -2) + (sealed.endsWith('AA') ? 'BB' : 'AA'))
      await expectRefused(await agent.visit(callback), agent, 400, /not started in this browser/)
    })
  })

  describe('several tabs of one browser', () => {
    const begin = (agent: UserAgent, path: string) => untilCallback(agent, `/login?returnTo=${path}`)
    const finish = async (agent: UserAgent, callback: string) => {
      const { status, headers } = await agent.step('GET', callback)
      return [status, headers.get('location')]
    }

    it.each([
      ['in the order in which they began', [0, 1]],
      ['the other way round', [1, 0]],
    ])('log in, %s, and each is redirected to its own page', async (_how, order) => {
      const agent = new UserAgent()
      const tabs = [await begin(agent, '/profile'), await begin(agent, '/decoder')]
      for (const tab of order)
        expect(await finish(agent, tabs[tab] as string)).toEqual([303, ['/profile', '/decoder'][tab]])
      expect(await webUi.isLoggedIn(agent)).toBe(true)
      expect(loginCookies(agent)).toEqual([])
    })

    it('start concurrently without losing each other', async () => {
      const agent = new UserAgent()
      const callbacks = await Promise.all(['/profile', '/decoder', '/'].map((path) => begin(agent, path)))
      for (const callback of callbacks) expect((await finish(agent, callback))[0]).toBe(303)
    })

    it('are unaffected when one of them fails, is declined, or gets an unrequested answer', async () => {
      const agent = new UserAgent()
      const [first, second, third] = [
        await begin(agent, '/'),
        await begin(agent, '/'),
        await begin(agent, '/profile'),
      ]
      const foreign = await untilCallback(new UserAgent())
      const declined = new URL(first)
      declined.searchParams.delete('code')
      declined.searchParams.set('error', 'access_denied')
      const guessed = second.replace(/code=[^&]+/, 'code=guessed')
      expect((await agent.visit(foreign)).status).toBe(400)
      expect((await agent.visit(`${webUi.url}/callback?code=c&state=s`)).status).toBe(400)
      expect((await agent.visit(declined.href)).status).toBe(401)
      expect((await agent.visit(guessed)).status).toBe(401)
      expect(await webUi.isLoggedIn(agent)).toBe(false)
      expect(await finish(agent, third)).toEqual([303, '/profile'])
      expect(await webUi.isLoggedIn(agent)).toBe(true)
    })

    it('are limited to five, small enough for any proxy; a sixth replaces the oldest', async () => {
      const agent = new UserAgent()
      const longest = encodeURIComponent(`/${'漢'.repeat(10)}?${'x'.repeat(420)}`)
      const callbacks: string[] = []
      for (let tab = 0; tab < 7; tab += 1) {
        callbacks.push(await begin(agent, longest))
        webUi.clock.advance(1_000)
      }
      const cookies = loginCookies(agent)
      expect(cookies).toHaveLength(5)
      for (const cookie of cookies) expect(cookie.join('=').length).toBeLessThan(1_600)
      expect(cookies.map((cookie) => cookie.join('=')).join('; ').length).toBeLessThan(8_000)
      for (const [tab, callback] of callbacks.entries()) {
        const [status] = await finish(new UserAgent().with(agent.cookies), callback)
        expect([tab, status]).toEqual([tab, tab < 2 ? 400 : 303])
      }
    })

    it('do not count expired logins', async () => {
      const agent = new UserAgent()
      for (let tab = 0; tab < 3; tab += 1) await begin(agent, '/')
      webUi.clock.advance(10 * 60_000)
      await begin(agent, '/')
      expect(loginCookies(agent)).toHaveLength(1)
    })

    it('keep valid forms when the same user logs in twice; forms of another user’s session are rejected', async () => {
      const agent = new UserAgent()
      const [first, second, third] = [
        await begin(agent, '/'),
        await begin(agent, '/'),
        await begin(agent, '/'),
      ]
      await finish(agent, first)
      const formToken = hiddenField((await agent.visit(webUi.url)).body, 'form_token')
      await finish(agent, second)
      expect(hiddenField((await agent.visit(webUi.url)).body, 'form_token')).toBe(formToken)
      const { user } = webUi.provider
      webUi.provider.user = { sub: 'ben', name: 'Ben Ruiz' }
      await finish(agent, third)
      webUi.provider.user = user
      expect((await agent.submit(`${webUi.url}/logout`, { form_token: formToken })).status).toBe(403)
    })
  })

  describe('a repeated answer', () => {
    it('redirects a logged-in browser to the home page: after Back, a reload, of any login', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      await agent.visit(callback)
      const session = agent.cookies.get(SESSION)
      const asked = webUi.provider.tokenRequests.length
      const foreign = await untilCallback(new UserAgent())
      for (const again of [
        callback,
        foreign,
        `${webUi.url}/callback`,
        `${webUi.url}/callback?error=access_denied`,
      ]) {
        const { status, headers } = await agent.step('GET', again)
        expect([status, headers.get('location'), headers.get('cache-control')]).toEqual([
          303,
          '/',
          'no-store',
        ])
      }
      // Nothing was redeemed, and nobody else was logged in.
      expect([agent.cookies.get(SESSION), webUi.provider.tokenRequests.length]).toEqual([session, asked])
    })

    it('is redeemed once when it arrives twice concurrently, as after a double click', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      const asked = webUi.provider.tokenRequests.length
      let reached = () => {}
      const redeeming = new Promise<void>((resolve) => {
        reached = resolve
      })
      let release = () => {}
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      webUi.provider.tricks = {
        beforeRedeem: () => {
          reached()
          return released
        },
      }
      const twin = new UserAgent().with(agent.cookies)
      const first = agent.step('GET', callback)
      await redeeming
      const second = twin.step('GET', callback)
      // The second one is there before this is answered.
      for (let trip = 0; trip < 3; trip += 1) await new UserAgent().visit(`${webUi.url}/healthz`)
      release()
      expect([(await first).status, (await second).status]).toEqual([303, 303])
      expect(webUi.provider.tokenRequests.length).toBe(asked + 1)
      expect(agent.cookies.get(SESSION)).toBe(twin.cookies.get(SESSION))
      expect(await webUi.isLoggedIn(agent)).toBe(true)
    })
  })

  describe('invalid ID tokens', () => {
    it('rejects one signed by another key', async () => {
      webUi.provider.tricks = { idTokenKey: await generateSigningKey('RS256', webUi.provider.key?.kid) }
      const agent = new UserAgent()
      await expectRefused(
        await agent.visit(`${webUi.url}/login`),
        agent,
        400,
        /the ID token is refused: invalid signature/,
      )
    })

    it('rejects an unsigned one', async () => {
      const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
      webUi.provider.tricks = { rawIdToken: `${encode({ alg: 'none' })}.${encode({ sub: 'ada' })}.` }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /alg/)
    })

    it.each([
      ['for another client', { aud: 'somebody-else' }, /aud/],
      ['of another issuer', { iss: 'https://mallory.example' }, /iss/],
      ['without a subject', { sub: undefined }, /sub/],
    ])('rejects one %s', async (_what, claims, message) => {
      webUi.provider.tricks = { idToken: (honest) => ({ ...honest, ...claims }) }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, message)
    })

    it('rejects an expired one', async () => {
      const { key, issuer } = webUi.provider
      if (!key) throw new Error('The provider has no key.')
      const rawIdToken = await signToken({ iss: issuer, aud: 'web-ui', sub: 'ada' }, key, {
        lifetimeSeconds: -60,
      })
      webUi.provider.tricks = { rawIdToken }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /exp/)
    })
  })

  it('shows the provider’s reason when it declines, as escaped text', async () => {
    webUi.provider.tricks = {
      redirect: (parameters) => {
        parameters.delete('code')
        parameters.set('error', 'access_denied')
        parameters.set('error_description', '<script>alert(1)</script>')
      },
    }
    const agent = new UserAgent()
    const visit = await agent.visit(`${webUi.url}/login`)
    await expectRefused(visit, agent, 401, /access_denied/)
    expect(visit.body).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  })

  it.each(['temporarily_unavailable', 'server_error'])(
    'is 503, to try again, when the provider says %s, at whatever endpoint',
    async (error) => {
      const description = { error, error_description: 'Down for maintenance' }
      const redirect = (parameters: URLSearchParams) => {
        parameters.delete('code')
        for (const [name, value] of Object.entries(description)) parameters.set(name, value)
      }
      for (const tricks of [{ redirect }, { tokenEndpoint: () => ({ status: 400, body: description }) }]) {
        webUi.provider.tricks = tricks
        const agent = new UserAgent()
        const visit = await agent.visit(`${webUi.url}/login`)
        const said = /cannot log you in at the moment: Down for maintenance\. Try again in a minute\./
        await expectRefused(visit, agent, 503, said)
        expect(visit.body).toContain(`503 ${error}`)
        expect(visit.body).toContain('Log in again')
        expect(visit.body).not.toContain('declined')
      }
      expect(webUi.logged()).toContain('login rejected: Down for maintenance')
      expect(webUi.logged()).not.toContain('internal_error')
    },
  )

  it('is 502 when the provider fails', async () => {
    webUi.provider.tricks = { tokenEndpoint: () => ({ status: 503, body: {} }) }
    const agent = new UserAgent()
    await expectRefused(
      await agent.visit(`${webUi.url}/login`),
      agent,
      502,
      /peer_unexpected_answer_503[\s\S]*identity-provider at \S+ answered 503 without an error code\./,
    )
  })

  it('logs no token, code, state or cookie', async () => {
    const { agent } = await webUi.logIn()
    const log = webUi.logged()
    expect(log).toContain('logged in')
    expect(log).not.toContain('eyJ')
    const values = [...webUi.provider.secrets, ...agent.cookies.values()].filter(Boolean)
    expect(values.length).toBeGreaterThan(10)
    expect(values.filter((value) => log.includes(value))).toEqual([])
  })
})

describe('GET /login', () => {
  const webUi = useWebUi({ ISSUER_BASE_URL: 'http://localhost:1' })

  it('is 502 with a page when the provider is unavailable, and the home page still works', async () => {
    const agent = new UserAgent()
    const login = await agent.visit(`${webUi.url}/login`)
    expect([login.status, login.body]).toEqual([
      502,
      expect.stringMatching(/identity-provider at http:\/\/localhost:1 is not reachable \(ECONNREFUSED\)/),
    ])
    expect((await agent.visit(webUi.url)).status).toBe(200)
  })
})
