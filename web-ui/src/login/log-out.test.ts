import { UserAgent } from '@hallpass/pages/testing'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

describe('POST /logout', () => {
  const webUi = useWebUi()
  const url = () => `${webUi.url}/logout`

  /** Where the provider was asked to end a session, and of which ID token it is. */
  const asked = (location: string) => {
    const { origin, pathname, searchParams } = new URL(location)
    expect([origin + pathname, searchParams.get('client_id')]).toEqual([
      `${webUi.provider.issuer}/session/end`,
      'web-ui',
    ])
    expect(searchParams.get('post_logout_redirect_uri')).toBe(`${webUi.url}/`)
    return searchParams.get('id_token_hint')
  }
  const post = async (agent: UserAgent, formToken: string) =>
    (
      await agent.step(
        'POST',
        url(),
        {
          origin: webUi.url,
          'sec-fetch-site': 'same-origin',
          'content-type': 'application/x-www-form-urlencoded',
        },
        `form_token=${formToken}`,
      )
    ).headers.get('location') as string

  it('ends the session here, revokes the refresh token, and redirects to the provider, which need not ask', async () => {
    const { agent, formToken } = await webUi.logIn()
    const [refreshToken, idToken] = webUi.provider.secrets.slice(-2)
    const stolen = new UserAgent().with(agent.cookies)
    const visit = await agent.submit(url(), { form_token: formToken })
    expect(asked(visit.url)).toBe(idToken)
    expect(agent.cookies.size).toBe(0)
    expect(await webUi.isLoggedIn(stolen)).toBe(false)
    expect(webUi.provider.revoked).toEqual([refreshToken])
    expect(webUi.logged()).not.toContain('eyJ')
  })

  it('ends the session at the provider also after a second click, and from another tab', async () => {
    const { agent, formToken } = await webUi.logIn()
    const tab = new UserAgent().with(agent.cookies)
    const idToken = asked(await post(agent, formToken))
    expect(idToken).not.toBeNull()
    // The first answer was dropped by the browser, and its cookies with it.
    expect(asked(await post(tab, formToken))).toBe(idToken)
    // The cookie is gone: that tab is logged out already.
    expect(await post(agent, formToken)).toBe('/')
  })

  it('ends the session at the provider if the one here has ended by age', async () => {
    const { agent, formToken } = await webUi.logIn()
    webUi.clock.advance(3_600_000)
    expect(asked(await post(agent, formToken))).not.toBeNull()
    expect(agent.cookies.size).toBe(0)
  })

  it('lets the provider ask if the session is not identified', async () => {
    const { agent, formToken } = await webUi.logIn()
    const forged = new UserAgent().with(agent.cookies)
    await post(agent, formToken)
    expect(asked(await post(forged, 'guessed'))).toBeNull()
    const unknown = new UserAgent()
    unknown.cookies.set('__Host-webui-session', 'of-before-a-restart')
    expect(asked(await post(unknown, formToken))).toBeNull()
  })

  it('sends no ID token that is too long for a URL', async () => {
    webUi.provider.tricks = { idToken: (claims) => ({ ...claims, groups: 'g'.repeat(4_000) }) }
    const { agent, formToken } = await webUi.logIn()
    expect(asked(await post(agent, formToken))).toBeNull()
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

  it('allows the form to redirect only to the provider', async () => {
    const { agent } = await webUi.logIn()
    const { headers } = await agent.visit(webUi.url)
    expect(headers.get('content-security-policy')).toContain(`form-action 'self' ${webUi.provider.issuer};`)
  })
})
