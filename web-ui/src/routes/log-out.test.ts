import { UserAgent } from '@hallpass/pages/testing'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

describe('POST /logout', () => {
  const webUi = useWebUi()
  const url = () => `${webUi.url}/logout`

  it('ends the session here, revokes the refresh token, and leads to the provider', async () => {
    const { agent, formToken } = await webUi.logIn()
    const refreshToken = webUi.provider.secrets.at(-2)
    const stolen = new UserAgent()
    for (const [name, value] of agent.cookies) stolen.cookies.set(name, value)
    const visit = await agent.submit(url(), { form_token: formToken })
    expect(visit.url).toBe(
      `${webUi.provider.issuer}/session/end?post_logout_redirect_uri=${encodeURIComponent(`${webUi.url}/`)}&client_id=web-ui`,
    )
    expect(agent.cookies.size).toBe(0)
    expect(await webUi.isLoggedIn(stolen)).toBe(false)
    expect(webUi.provider.revoked).toEqual([refreshToken])
  })

  it('CSRF on logout: a form without the token of the session does nothing', async () => {
    const { agent } = await webUi.logIn()
    for (const fields of [{}, { form_token: '' }, { form_token: 'guessed' }] as Record<string, string>[]) {
      const visit = await agent.submit(url(), fields)
      expect([visit.status, visit.body]).toEqual([403, expect.stringContaining('nothing was ended')])
    }
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('CSRF on logout: the token of another session does nothing', async () => {
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

  it('a link ends nothing: GET /logout asks', async () => {
    const { agent } = await webUi.logIn()
    const visit = await agent.visit(url())
    expect([visit.status, visit.body]).toEqual([200, expect.stringContaining('Log out Ada Okafor')])
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('is no trouble for somebody who is not logged in', async () => {
    const visit = await new UserAgent().submit(url(), {})
    expect([visit.status, visit.url]).toEqual([200, `${webUi.url}/`])
  })

  it('lets the form lead to the provider, and nowhere else', async () => {
    const { agent } = await webUi.logIn()
    const { headers } = await agent.visit(webUi.url)
    expect(headers.get('content-security-policy')).toContain(`form-action 'self' ${webUi.provider.issuer};`)
  })
})
