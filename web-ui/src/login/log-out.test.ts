import { UserAgent, type Visit } from '@hallpass/pages/testing'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

describe('POST /logout', () => {
  const webUi = useWebUi()
  const url = () => `${webUi.url}/logout`

  /** Submits the form of a page to the provider, as its script does. @returns the ID token that was sent. */
  async function leave({ status, body }: Visit): Promise<string | undefined> {
    expect([status, body]).toEqual([200, expect.stringContaining('You are logged out here')])
    const { action, method, fields } = leaving(body)
    expect(action).toBe(`${webUi.provider.issuer}/session/end`)
    const browser = new UserAgent()
    if (method === 'post') await browser.submit(action, fields)
    else await browser.visit(`${action}?${new URLSearchParams(fields)}`)
    const sent = webUi.provider.logouts.at(-1)
    expect(sent).toMatchObject({
      method: method?.toUpperCase(),
      parameters: { client_id: 'web-ui', post_logout_redirect_uri: `${webUi.url}/` },
    })
    return sent?.parameters.id_token_hint as string | undefined
  }
  const post = (agent: UserAgent, formToken: string) => agent.submit(url(), { form_token: formToken })

  it('ends the session here, revokes the refresh token, and sends the browser to the provider with the ID token', async () => {
    const { agent, formToken } = await webUi.logIn()
    const [refreshToken, idToken] = webUi.provider.secrets.slice(-2)
    const stolen = new UserAgent().with(agent.cookies)
    const page = await post(agent, formToken)
    expect(page.body).toMatch(/<script type="module" src="\/assets\/[\w-]+\/submit-form\.js">/)
    const policy = page.headers.get('content-security-policy')
    expect(policy).toContain(`form-action 'self' ${webUi.provider.issuer} https:;`)
    expect(policy).toContain("script-src 'self'")
    expect([page.url, page.headers.get('cache-control')]).toEqual([url(), 'no-store'])
    expect(await leave(page)).toBe(idToken)
    expect(agent.cookies.size).toBe(0)
    expect(await webUi.isLoggedIn(stolen)).toBe(false)
    expect(webUi.provider.revoked).toEqual([refreshToken])
    expect(webUi.logged()).not.toContain('eyJ')
  })

  it('ends the session at the provider also after a second click, and from another tab', async () => {
    const { agent, formToken } = await webUi.logIn()
    const tab = new UserAgent().with(agent.cookies)
    const idToken = await leave(await post(agent, formToken))
    expect(idToken).toBeDefined()
    // The first answer was dropped by the browser, and its cookies with it.
    expect(await leave(await post(tab, formToken))).toBe(idToken)
    // The cookie is gone: that tab is logged out already.
    expect((await post(agent, formToken)).url).toBe(`${webUi.url}/`)
  })

  it('ends the session at the provider if the one here has ended by age', async () => {
    const { agent, formToken } = await webUi.logIn()
    webUi.clock.advance(3_600_000)
    expect(await leave(await post(agent, formToken))).toBeDefined()
    expect(agent.cookies.size).toBe(0)
  })

  it('offers a logout at the provider if the session is not identified: it may ask, or decline', async () => {
    const { agent, formToken } = await webUi.logIn()
    const forged = new UserAgent().with(agent.cookies)
    await post(agent, formToken)
    const unknown = new UserAgent()
    unknown.cookies.set('__Host-webui-session', 'of-before-a-restart')
    for (const page of [await post(forged, 'guessed'), await post(unknown, formToken)]) {
      expect(page.body).toContain('The web UI no longer knows your session')
      expect(page.body).not.toContain('submit-form.js')
      expect(await leave(page)).toBeUndefined()
    }
  })

  it('sends an ID token that is too long for a URL', async () => {
    webUi.provider.tricks = { idToken: (claims) => ({ ...claims, groups: 'g'.repeat(4_500) }) }
    const { agent, formToken } = await webUi.logIn()
    expect((await leave(await post(agent, formToken)))?.length).toBeGreaterThan(6_000)
  })

  it('sends the ID token of the login if a renewal returned none, and the new one if it did', async () => {
    const { agent, formToken } = await webUi.logIn()
    const first = webUi.provider.secrets.at(-1)
    webUi.provider.tricks = {
      tokenEndpoint: () => ({
        status: 200,
        body: { access_token: 'a', token_type: 'Bearer', expires_in: 120, refresh_token: 'r' },
      }),
    }
    webUi.clock.advance(100_000)
    expect((await agent.visit(`${webUi.url}/profile`)).body).toContain('once in this session')
    expect(await leave(await post(agent, formToken))).toBe(first)

    webUi.provider.tricks = {}
    const other = await webUi.logIn()
    const before = webUi.provider.secrets.at(-1)
    webUi.clock.advance(100_000)
    await other.agent.visit(`${webUi.url}/profile`)
    const renewed = webUi.provider.secrets.at(-1)
    expect(renewed).not.toBe(before)
    expect(await leave(await post(other.agent, other.formToken))).toBe(renewed)
  })

  it('CSRF on logout: rejects a form without the token of the session', async () => {
    const { agent } = await webUi.logIn()
    for (const fields of [{}, { form_token: '' }, { form_token: 'guessed' }] as Record<string, string>[]) {
      const visit = await agent.submit(url(), fields)
      expect([visit.status, visit.body]).toEqual([403, expect.stringContaining('You are still logged in')])
      // A tab that is older than the login is left a way out.
      expect(visit.body).toContain('<a class="button primary" href="/logout">Log out</a>')
    }
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('CSRF on logout: rejects the token of another session', async () => {
    const { agent } = await webUi.logIn()
    const other = await webUi.logIn()
    expect((await agent.submit(url(), { form_token: other.formToken })).status).toBe(403)
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it.each([
    ['a page of another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a page of another port of this host', { origin: 'http://localhost:9', 'sec-fetch-site': 'same-site' }],
    ['a page without an origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['another page in a browser without Fetch Metadata', { origin: 'https://evil.example' }],
  ])('CSRF on logout: a form of %s does nothing, even with the token', async (_who, headers) => {
    const { agent, formToken } = await webUi.logIn()
    const visit = await agent.submit(url(), { form_token: formToken }, headers)
    expect([visit.status, visit.body]).toEqual([403, expect.stringContaining('foreign_origin')])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('GET /logout only asks for confirmation', async () => {
    const { agent } = await webUi.logIn()
    const visit = await agent.visit(url())
    expect([visit.status, visit.body]).toEqual([200, expect.stringContaining('Log out Ada Okafor')])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('succeeds without a session', async () => {
    const visit = await new UserAgent().submit(url(), {})
    expect([visit.status, visit.url]).toEqual([200, `${webUi.url}/`])
  })

  it('allows no other page to submit a form to the provider', async () => {
    const { agent } = await webUi.logIn()
    const { headers } = await agent.visit(webUi.url)
    expect(headers.get('content-security-policy')).toContain("form-action 'self';")
  })
})

describe('POST /logout of a provider whose endpoint has a query', () => {
  const webUi = useWebUi()

  it('keeps the query with GET, and with POST for an ID token that is too long for a URL', async () => {
    const end = `${webUi.provider.issuer}/session/end`
    webUi.provider.tricks = {
      metadata: (metadata) => ({ ...metadata, end_session_endpoint: `${end}?p=policy` }),
    }
    const { agent, formToken } = await webUi.logIn()
    const page = await agent.submit(`${webUi.url}/logout`, { form_token: formToken })
    expect(leaving(page.body)).toEqual({
      action: end,
      method: 'get',
      fields: {
        p: 'policy',
        client_id: 'web-ui',
        post_logout_redirect_uri: `${webUi.url}/`,
        id_token_hint: webUi.provider.secrets.at(-1),
      },
    })
    webUi.provider.tricks = { idToken: (claims) => ({ ...claims, groups: 'g'.repeat(4_000) }) }
    const long = await webUi.logIn()
    const form = leaving(
      (await long.agent.submit(`${webUi.url}/logout`, { form_token: long.formToken })).body,
    )
    expect([form.action, form.method, form.fields.p]).toEqual([`${end}?p=policy`, 'post', undefined])
    expect(form.fields.id_token_hint).toBeDefined()
  })
})

describe('POST /logout with LOGOUT_METHOD=post', () => {
  const webUi = useWebUi({ LOGOUT_METHOD: 'post' })

  it('sends the ID token with POST', async () => {
    const { agent, formToken } = await webUi.logIn()
    const { body } = await agent.submit(`${webUi.url}/logout`, { form_token: formToken })
    const { action, method, fields } = leaving(body)
    expect([action, method]).toEqual([`${webUi.provider.issuer}/session/end`, 'post'])
    await new UserAgent().submit(action, fields)
    expect(webUi.provider.logouts).toEqual([
      {
        method: 'POST',
        parameters: {
          client_id: 'web-ui',
          post_logout_redirect_uri: `${webUi.url}/`,
          id_token_hint: webUi.provider.secrets.at(-1),
        },
      },
    ])
  })
})

describe('POST /logout with a provider that cannot end its session', () => {
  const webUi = useWebUi()

  it('says so if it has no endpoint', async () => {
    webUi.provider.tricks = {
      metadata: ({ end_session_endpoint: _, ...metadata }) => metadata,
    }
    const { agent, formToken } = await webUi.logIn()
    const { status, body } = await agent.submit(`${webUi.url}/logout`, { form_token: formToken })
    expect([status, body]).toEqual([
      200,
      expect.stringContaining('The identity provider has no logout endpoint'),
    ])
    expect(body).toContain('You are logged out here')
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  })
})

/** Returns the form of a page that sends the browser to the provider. */
function leaving(body: string) {
  const [, method, action] =
    /<form class="actions" id="leave" method="(\w+)" action="([^"]+)">/.exec(body) ?? []
  const fields = [...body.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)]
  return {
    method,
    action: (action ?? '').replaceAll('&amp;', '&'),
    fields: Object.fromEntries(fields.map(([, name, value]) => [name, value])) as Record<string, string>,
  }
}
