import { UserAgent } from '@hallpass/pages/testing'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'

describe('GET /sessions', () => {
  const webUi = useWebUi({ SESSION_IDLE_S: '3600', SESSION_MAX_S: '7200' })
  const url = (path = '') => `${webUi.url}/sessions${path}`

  /** Logs in as a user of this test only. */
  async function logIn(sub: string, userAgent?: string) {
    webUi.provider.user = { sub, name: sub }
    return webUi.logIn('/login', userAgent)
  }
  /** Reads the list as a browser shows it. */
  async function list(agent: UserAgent) {
    const { status, body } = await agent.visit(url())
    expect(status).toBe(200)
    const cards = body.match(/<article class="card">[\s\S]*?<\/article>/g) ?? []
    return cards.map((card) => ({
      browser: /<h2[^>]*>([^<]*)</.exec(card)?.[1],
      isThis: card.includes('this browser'),
      handle: /name="handle" value="([^"]*)"/.exec(card)?.[1],
      words: [...card.matchAll(/<dd>([\s\S]*?)<\/dd>/g)].map(([, dd]) => (dd ?? '').replace(/<[^>]*>/g, '')),
      card,
    }))
  }
  const end = (agent: UserAgent, formToken: string, fields: Record<string, string>) =>
    agent.submit(url('/end'), { form_token: formToken, ...fields })

  it('lists each session with its browser, times and ends; this one first, no ID, and no other user’s', async () => {
    await logIn('lisa-not')
    const far = await logIn('lisa', FIREFOX)
    webUi.clock.advance(40 * 60_000)
    await far.agent.visit(webUi.url)
    webUi.clock.advance(10 * 60_000)
    const here = await logIn('lisa', '<b>"Mallory</b>')
    const sessions = await list(here.agent)
    expect(sessions.map(({ browser, isThis, words }) => [browser, isThis, ...words])).toEqual([
      [
        'Unknown browser',
        true,
        'less than a minute ago',
        'now',
        '60 min after its last use, at the latest in 2 h',
      ],
      [
        'Firefox on Linux',
        false,
        '50 min ago',
        '10 min ago',
        'in 50 min if it is not used, at the latest in 70 min',
      ],
    ])
    expect(sessions[0]?.handle).toBeUndefined()
    const { body } = await here.agent.visit(url())
    for (const { agent } of [far, here])
      for (const value of agent.cookies.values()) expect(body).not.toContain(value)
    expect(body).not.toContain('Mallory</b>')
    // A handle is no cookie.
    const forged = new UserAgent()
    forged.cookies.set('__Host-webui-session', sessions[1]?.handle as string)
    expect(await webUi.isLoggedIn(forged)).toBe(false)
  })

  it('says so if there is no other session, and is linked from the profile page', async () => {
    const { agent } = await logIn('solo')
    expect((await agent.visit(`${webUi.url}/profile`)).body).toContain('href="/sessions"')
    const { body } = await agent.visit(url())
    expect(body).toContain('You are logged in only in this browser.')
    expect(body).not.toContain('Log out everywhere else')
  })

  it('does not list sessions that have ended by age, or by a logout', async () => {
    const old = await logIn('olga')
    webUi.clock.advance(30 * 60_000)
    const out = await logIn('olga')
    const here = await logIn('olga')
    await out.agent.submit(`${webUi.url}/logout`, { form_token: out.formToken })
    expect(await list(here.agent)).toHaveLength(2)
    webUi.clock.advance(30 * 60_000)
    expect(await webUi.isLoggedIn(old.agent)).toBe(false)
    expect(await list(here.agent)).toHaveLength(1)
  })

  it('redirects a stranger to the login', async () => {
    const answer = await new UserAgent().step('GET', url())
    expect([answer.status, answer.headers.get('location')]).toEqual([
      303,
      `${webUi.url}/login?returnTo=/sessions`,
    ])
  })

  it('logs out there: only that session, and its refresh token at the provider', async () => {
    const there = await logIn('theo')
    const refreshToken = webUi.provider.secrets.at(-2)
    const third = await logIn('theo')
    const here = await logIn('theo')
    const handlesSeenBy = async ({ agent }: { agent: UserAgent }) =>
      (await list(agent)).flatMap(({ handle }) => (handle === undefined ? [] : [handle]))
    // A browser’s own session has no handle on its page.
    const own = await handlesSeenBy(there)
    const [handle = ''] = (await handlesSeenBy(here)).filter((one) => !own.includes(one))
    const revokedBefore = webUi.provider.revoked.length
    const after = await end(here.agent, here.formToken, { handle })
    expect([after.status, after.url]).toEqual([200, url()])
    expect(await list(here.agent)).toHaveLength(2)
    expect([
      await webUi.isLoggedIn(there.agent),
      await webUi.isLoggedIn(third.agent),
      await webUi.isLoggedIn(here.agent),
    ]).toEqual([false, true, true])
    expect(webUi.provider.revoked.slice(revokedBefore)).toEqual([refreshToken])
    expect(webUi.logged()).toContain('other sessions ended by their user')
    // The form of a page open there leads to the provider, whose session may still be alive.
    const late = await there.agent.submit(`${webUi.url}/logout`, { form_token: there.formToken })
    expect(late.body).toContain('id_token_hint')
    // A second click changes nothing.
    expect((await end(here.agent, here.formToken, { handle })).status).toBe(200)
    expect(await webUi.isLoggedIn(third.agent)).toBe(true)
  })

  it('logs out everywhere else', async () => {
    const others = [await logIn('eve'), await logIn('eve')]
    const other = await logIn('eva')
    const here = await logIn('eve')
    await end(here.agent, here.formToken, { others: 'true' })
    expect(await Promise.all(others.map(({ agent }) => webUi.isLoggedIn(agent)))).toEqual([false, false])
    expect([await webUi.isLoggedIn(here.agent), await webUi.isLoggedIn(other.agent)]).toEqual([true, true])
    expect((await here.agent.visit(url())).body).toContain('You are logged in only in this browser.')
  })

  it('ends nothing by the handle of another user, or by one of nobody', async () => {
    const victim = await logIn('vera')
    const second = await logIn('vera')
    const handle = (await list(second.agent)).find(({ isThis }) => !isThis)?.handle as string
    const mallory = await logIn('mallory')
    for (const foreign of [handle, 'x', ''])
      expect((await end(mallory.agent, mallory.formToken, { handle: foreign })).url).toBe(url())
    for (const { agent } of [victim, second, mallory]) expect(await webUi.isLoggedIn(agent)).toBe(true)
  })

  it('CSRF: rejects a form without the token of this session, or from another origin', async () => {
    const there = await logIn('carl')
    const here = await logIn('carl')
    const handle = (await list(here.agent)).find(({ isThis }) => !isThis)?.handle as string
    for (const formToken of ['', 'guessed', there.formToken])
      for (const fields of [{ handle }, { others: 'true' }] as Record<string, string>[]) {
        const visit = await end(here.agent, formToken, fields)
        expect([visit.status, visit.body]).toEqual([403, expect.stringContaining('form_token_missing')])
      }
    const fields = { form_token: here.formToken, others: 'true' }
    const foreign = await here.agent.submit(url('/end'), fields, {
      origin: 'https://evil.example',
      'sec-fetch-site': 'cross-site',
    })
    expect([foreign.status, foreign.body]).toEqual([403, expect.stringContaining('foreign_origin')])
    expect(await webUi.isLoggedIn(there.agent)).toBe(true)
    // Without a session there is nothing to end.
    const stranger = await new UserAgent().step('POST', url('/end'), { origin: webUi.url })
    expect([stranger.status, stranger.headers.get('location')]).toEqual([
      303,
      `${webUi.url}/login?returnTo=/sessions`,
    ])
  })
})
