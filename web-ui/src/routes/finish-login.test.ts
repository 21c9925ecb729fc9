import { UserAgent, type Visit } from '@hallpass/pages/testing'
import { generateSigningKey, signToken } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

const SESSION = '__Host-webui-session'
const LOGIN = '__Host-webui-login'

describe('GET /callback', () => {
  const webUi = useWebUi()

  /** Begins a login, and stops where the browser is about to come back. */
  async function untilCallback(agent: UserAgent, path = '/login'): Promise<string> {
    const away = await agent.step('GET', webUi.url + path)
    const back = await agent.step('GET', away.headers.get('location') as string)
    return back.headers.get('location') as string
  }

  async function expectRefused(visit: Visit, agent: UserAgent, status: number, message: RegExp) {
    expect([visit.status, visit.body]).toEqual([status, expect.stringMatching(message)])
    expect(agent.cookies.has(SESSION)).toBe(false)
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  }

  it('logs in: the session is a cookie that no script reads and no other host plants', async () => {
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

  it('puts no token and no code into a page', async () => {
    const { agent } = await webUi.logIn()
    const pages = await Promise.all(['/', '/profile', '/logout'].map((path) => agent.visit(webUi.url + path)))
    for (const { body } of pages) {
      expect(body).not.toContain('eyJ')
      for (const secret of webUi.provider.secrets) expect(secret !== '' && body.includes(secret)).toBe(false)
    }
  })

  it('asks for the API by resource and by audience, at both endpoints', async () => {
    await webUi.logIn()
    const asked = webUi.provider.authorizations.at(-1)
    expect([asked?.get('resource'), asked?.get('audience')]).toEqual(['https://webui', 'https://webui'])
    expect(webUi.provider.tokenRequests.at(-1)).toMatchObject({ resource: 'https://webui' })
  })

  it('session fixation: a session id from before the login is worth nothing after it', async () => {
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

  it('open redirect: the login leads to a page of ours, whatever returnTo says', async () => {
    for (const elsewhere of ['https://evil.example/', '//evil.example', '/\\evil.example']) {
      const agent = new UserAgent()
      const callback = await untilCallback(agent, `/login?returnTo=${encodeURIComponent(elsewhere)}`)
      const answer = await agent.step('GET', callback)
      expect(answer.headers.get('location')).toBe('/')
    }
  })

  it('open redirect: a Host header does not change where the provider sends the browser', async () => {
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
    it('login CSRF: refuses an answer in a browser that did not ask', async () => {
      const callback = await untilCallback(new UserAgent())
      const victim = new UserAgent()
      await expectRefused(await victim.visit(callback), victim, 400, /not begun in this browser/)
    })

    it('missing state: refuses the answer', async () => {
      webUi.provider.tricks = { redirect: (parameters) => parameters.delete('state') }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /&quot;state&quot;/)
    })

    it('wrong state: refuses the answer', async () => {
      webUi.provider.tricks = { redirect: (parameters) => parameters.set('state', 'mallory') }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /&quot;state&quot;/)
    })

    it('missing nonce: refuses the ID token', async () => {
      webUi.provider.tricks = { idToken: ({ nonce: _nonce, ...claims }) => claims }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /nonce/)
    })

    it('wrong nonce: refuses the ID token of another login', async () => {
      webUi.provider.tricks = { idToken: (claims) => ({ ...claims, nonce: 'of-another-login' }) }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /nonce/)
    })

    it('missing PKCE: never asks without a challenge, and the method is S256', async () => {
      await webUi.logIn()
      await webUi.logIn()
      const challenges = webUi.provider.authorizations.map((asked) => asked.get('code_challenge'))
      expect(challenges).not.toContain(null)
      expect(new Set(challenges).size).toBe(challenges.length)
      for (const asked of webUi.provider.authorizations)
        expect(asked.get('code_challenge_method')).toBe('S256')
    })

    it('missing PKCE: a code of somebody else’s login is worth nothing here', async () => {
      const stolen = new URL(await untilCallback(new UserAgent())).searchParams.get('code') as string
      webUi.provider.tricks = { redirect: (parameters) => parameters.set('code', stolen) }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 401, /invalid_grant/)
    })

    it('mix-up: refuses an answer that another issuer signed off, or none (RFC 9207)', async () => {
      for (const iss of ['https://mallory.example', undefined]) {
        webUi.provider.tricks = {
          redirect: (parameters) =>
            iss === undefined ? parameters.delete('iss') : parameters.set('iss', iss),
        }
        const agent = new UserAgent()
        await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /&quot;iss&quot;/)
      }
    })

    it('replay: an answer is good once', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      const login = agent.cookies.get(LOGIN) as string
      expect((await agent.step('GET', callback)).status).toBe(303)
      expect(agent.cookies.has(LOGIN)).toBe(false)
      const again = new UserAgent()
      again.cookies.set(LOGIN, login)
      await expectRefused(await again.visit(callback), again, 401, /invalid_grant/)
    })

    it('refuses an answer that comes after ten minutes', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      webUi.clock.advance(10 * 60_000)
      await expectRefused(await agent.visit(callback), agent, 400, /more than ten minutes/)
    })

    it('refuses a sealed login that was changed', async () => {
      const agent = new UserAgent()
      const callback = await untilCallback(agent)
      const sealed = agent.cookies.get(LOGIN) as string
      agent.cookies.set(LOGIN, sealed.slice(0, -2) + (sealed.endsWith('AA') ? 'BB' : 'AA'))
      await expectRefused(await agent.visit(callback), agent, 400, /not begun in this browser/)
    })
  })

  describe('ID tokens that are not good', () => {
    it('refuses one that another key signed', async () => {
      webUi.provider.tricks = { idTokenKey: await generateSigningKey('RS256', webUi.provider.key?.kid) }
      const agent = new UserAgent()
      await expectRefused(
        await agent.visit(`${webUi.url}/login`),
        agent,
        400,
        /signature verification failed/,
      )
    })

    it('refuses one that nobody signed', async () => {
      const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
      webUi.provider.tricks = { rawIdToken: `${encode({ alg: 'none' })}.${encode({ sub: 'ada' })}.` }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, /alg/)
    })

    it.each([
      ['for another client', { aud: 'somebody-else' }, /aud/],
      ['of another issuer', { iss: 'https://mallory.example' }, /iss/],
      ['without a subject', { sub: undefined }, /sub/],
    ])('refuses one %s', async (_what, claims, message) => {
      webUi.provider.tricks = { idToken: (honest) => ({ ...honest, ...claims }) }
      const agent = new UserAgent()
      await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 400, message)
    })

    it('refuses one that has expired', async () => {
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

  it('says what the provider says when it declines, and shows no markup of theirs', async () => {
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

  it('is 502 when the provider answers nonsense', async () => {
    webUi.provider.tricks = { tokenEndpoint: () => ({ status: 503, body: {} }) }
    const agent = new UserAgent()
    await expectRefused(await agent.visit(`${webUi.url}/login`), agent, 502, /answers nonsense/)
  })

  it('no log has a token, a code, a state or a cookie', async () => {
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

  it('is 502 with a page when the provider is away, and the home page still works', async () => {
    const agent = new UserAgent()
    const login = await agent.visit(`${webUi.url}/login`)
    expect([login.status, login.body]).toEqual([
      502,
      expect.stringMatching(/identity provider at http:\/\/localhost:1 is not reachable/),
    ])
    expect((await agent.visit(webUi.url)).status).toBe(200)
  })
})
