import type { UserAgent } from '@hallpass/pages/testing'
import { httpService, silentLog } from '@hallpass/service-kit'
import { developmentConfig, useService } from '@hallpass/service-kit/testing'
import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createApp, loadConfig } from '../app.ts'
import { useWebUi } from '../testing/web-ui-system.ts'

describe('GET /', () => {
  const webUi = useWebUi()

  it('calls both backends with a token that is renewed before it expires', async () => {
    const { agent } = await webUi.logIn()
    const before = webUi.provider.tokenRequests.length
    const { body } = await agent.visit(webUi.url)
    expect(body).toContain('the first backend')
    expect(body).toContain('second service')
    expect(webUi.provider.tokenRequests).toHaveLength(before)
    webUi.clock.advance(100_000)
    await Promise.all([agent.visit(webUi.url), agent.visit(webUi.url), agent.visit(`${webUi.url}/profile`)])
    expect(webUi.provider.tokenRequests.slice(before)).toEqual([
      expect.objectContaining({ grant_type: 'refresh_token', resource: 'https://webui' }),
    ])
    expect((await agent.visit(`${webUi.url}/profile`)).body).toContain('once in this session')
  })

  it('shows the user as logged out when the provider has ended the session', async () => {
    const { agent } = await webUi.logIn()
    webUi.provider.tricks = { tokenEndpoint: () => ({ status: 400, body: { error: 'invalid_grant' } }) }
    webUi.clock.advance(100_000)
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  })

  it('ends the session when a renewed token has another subject', async () => {
    const { agent } = await webUi.logIn()
    webUi.provider.tricks = { idToken: (claims) => ({ ...claims, sub: 'mallory' }) }
    webUi.clock.advance(100_000)
    expect(await webUi.isLoggedIn(agent)).toBe(false)
  })

  it('keeps the user logged in while the provider is temporarily unavailable', async () => {
    const { agent } = await webUi.logIn()
    webUi.provider.tricks = { tokenEndpoint: () => ({ status: 503, body: {} }) }
    webUi.clock.advance(100_000)
    expect(await webUi.isLoggedIn(agent)).toBe(true)
  })
})

describe('a provider that is away', () => {
  const webUi = useWebUi()

  /** Opens pages at the same time. @returns their text, and the time of the slowest in seconds. */
  async function open(agent: UserAgent, ...paths: string[]) {
    const started = performance.now()
    const visits = await Promise.all(paths.map((path) => agent.visit(webUi.url + path)))
    expect(visits.map(({ status, url }) => [status, url])).toEqual(
      paths.map((path) => [200, webUi.url + path]),
    )
    return { bodies: visits.map(({ body }) => body), seconds: (performance.now() - started) / 1000 }
  }

  it.each([
    ['frozen', 'peer_timeout', 1],
    ['reset', 'peer_unreachable', 0],
  ] as const)(
    'is %s: pages wait at most a second while the token is valid, then say that there is none, and recover',
    async (away, code, waits) => {
      const { agent } = await webUi.logIn()
      webUi.provider.tricks = { away }
      webUi.clock.advance(110_000)
      const before = await open(agent, '/', '/profile', '/')
      expect(Math.floor(before.seconds)).toBe(waits)
      for (const body of before.bodies) expect(body).not.toContain('does not answer')
      expect(before.bodies[0]).toContain('with your access token')

      webUi.clock.advance(10_000)
      const after = await open(agent, '/', '/profile', '/')
      expect(after.seconds).toBeLessThan(waits === 0 ? 1 : 2.8)
      for (const body of after.bodies) {
        expect(body).toContain('The identity provider does not answer.')
        expect(body).toContain('You are still logged in here.')
        expect(body).not.toMatch(/You are not logged in|without a token|another 0 s/)
      }
      expect(after.bodies[0]).toContain('Hello, Ada Okafor')
      // The backends were not called.
      expect(after.bodies[0]).not.toMatch(/data-backend|All logs contain these calls/)
      expect(after.bodies[1]).toContain('<a class="button" href="/profile">Try again</a>')

      // A refresh at the frozen provider times out after 10 s; after that the reason is known.
      await until(async () => {
        const { bodies } = await open(agent, '/')
        return bodies[0]?.includes(`Reason: <code>${code}</code>`) === true
      })
      webUi.provider.tricks = {}
      webUi.clock.advance(5_000)
      const back = await open(agent, '/', '/profile')
      expect(back.bodies[0]).toContain('with your access token')
      expect(back.bodies[1]).toContain('once in this session')
      expect(webUi.logged()).toContain('access token not renewed, the sessions continue: identity-provider')
    },
    30_000,
  )

  it.each([
    ['unauthorized_client', true],
    ['interaction_required', true],
    ['login_required', true],
    ['consent_required', true],
    ['temporarily_unavailable', false],
    ['invalid_client', false],
  ])('declines with %s: the page offers a new login: %p', async (error, isOffered) => {
    const { agent } = await webUi.logIn()
    webUi.provider.tricks = { tokenEndpoint: () => ({ status: 400, body: { error } }) }
    webUi.clock.advance(120_000)
    const { bodies } = await open(agent, '/', '/profile')
    for (const [index, path] of ['/', '/profile'].entries()) {
      expect(bodies[index]).toContain(`<a class="button" href="${path}">Try again</a>`)
      const link = `<a class="button" href="${webUi.url}/login?returnTo=${path}">Log in again</a>`
      expect([error, bodies[index]?.includes(link)]).toEqual([error, isOffered])
      expect(bodies[index]?.includes('This refusal usually lasts until you log in again.')).toBe(isOffered)
      expect(bodies[index]?.includes('without a new login')).toBe(!isOffered)
    }
    webUi.provider.tricks = {}
    await agent.visit(`${webUi.url}/login?returnTo=/`)
    expect((await open(agent, '/')).bodies[0]).toContain('with your access token')
  })

  it.each([
    [429, { error: 'slow_down' }, 'slow_down'],
    [400, { error: 'temporarily_unavailable' }, 'temporarily_unavailable'],
    [503, { error: 'temporarily_unavailable' }, 'temporarily_unavailable'],
    [500, { error: 'server_error' }, 'server_error'],
    [502, '<html>', 'peer_unexpected_answer_502'],
    [401, { error: 'invalid_client' }, 'invalid_client'],
  ])(
    'declines with %i: the user stays logged in, and sees the reason when the token has expired',
    async (status, body, code) => {
      const { agent } = await webUi.logIn()
      webUi.provider.tricks = { tokenEndpoint: () => ({ status, body }) }
      webUi.clock.advance(120_000)
      const { bodies } = await open(agent, '/', '/profile')
      for (const text of bodies) {
        expect(text).toContain('The identity provider does not renew your access token.')
        expect(text).toContain(`<code>${code}</code>`)
        expect(text).not.toContain('You are not logged in')
      }
      webUi.provider.tricks = {}
      webUi.clock.advance(60_000)
      expect((await open(agent, '/')).bodies[0]).toContain('with your access token')
    },
  )

  it.each([
    ['is not JSON', '<html>'],
    ['has no access token', { token_type: 'Bearer' }],
    ['has a malformed ID token', { access_token: 'a', token_type: 'Bearer', id_token: 'x.y' }],
    ['has a DPoP token', { access_token: 'a', token_type: 'DPoP' }],
  ])('sends an answer that %s: the user stays logged in', async (_what, body) => {
    const { agent } = await webUi.logIn()
    webUi.provider.tricks = { tokenEndpoint: () => ({ status: 200, body }) }
    webUi.clock.advance(120_000)
    expect((await open(agent, '/')).bodies[0]).toContain('You are still logged in here.')
    webUi.provider.tricks = {}
    webUi.clock.advance(60_000)
    expect((await open(agent, '/')).bodies[0]).toContain('with your access token')
  })
})

describe('a provider that is stopped', () => {
  const webUi = useWebUi()

  it('makes no page wait, and pages say that there is no token', async () => {
    const { agent } = await webUi.logIn()
    await webUi.stopProvider()
    webUi.clock.advance(120_000)
    const started = performance.now()
    for (const path of ['/', '/profile']) {
      const { body } = await agent.visit(webUi.url + path)
      expect(body).toContain('The identity provider does not answer.')
      expect(body).toContain('Reason: <code>peer_unreachable</code>')
    }
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})

describe('GET / without a refresh token', () => {
  const webUi = useWebUi()

  it('says that the token has expired, and offers a login', async () => {
    webUi.provider.tricks = { withoutRefreshToken: true }
    const { agent } = await webUi.logIn()
    webUi.clock.advance(120_000)
    for (const path of ['/', '/profile']) {
      const { body } = await agent.visit(webUi.url + path)
      expect(body).toContain('Your access token has expired.')
      expect(body).toContain(`href="${webUi.url}/login?returnTo=${path}"`)
      expect(body).not.toContain('You are not logged in')
    }
  })
})

/** Asks again for at most 20 s: longer than a refresh. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error('It has not happened within 20 s.')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

describe('GET / with failing backends', () => {
  const heard: Record<string, unknown>[] = []
  const backend = useService(() =>
    httpService({
      name: 'mesh',
      log: silentLog,
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (routes) => {
        routes.get('/data', (incoming, response) => {
          heard.push(incoming.headers)
          response.status(403).type('text').send('RBAC: access denied')
        })
      },
    }),
  )
  const home = async (env: Record<string, string> = {}, headers: Record<string, string> = {}) => {
    const config = loadConfig({ ASSETS_FOLDER: 'web-ui/public', BACKEND_SERVICE_URL: backend.url(), ...env })
    return request((await createApp(config, silentLog)).app)
      .get('/')
      .set(headers)
  }

  it('shows a rejection of a mesh and an unreachable backend, each with its status', async () => {
    const answer = await home({ SECOND_BACKEND_SERVICE_URL: 'http://localhost:1' })
    expect(answer.status).toBe(200)
    expect(answer.text).toContain('<html')
    expect(answer.text).toMatch(/<span class="status">403<\/span>[\s\S]*RBAC: access denied/)
    expect(answer.text).toMatch(/no answer[\s\S]*second-backend-api at http:\/\/localhost:1 is not reachable/)
  })

  it('forwards the trace and the mesh’s own headers, but no others', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    await home(
      {},
      {
        traceparent: `00-${traceId}-b7ad6b7169203331-01`,
        'x-b3-traceid': traceId,
        'x-request-id': 'r-1',
        'x-name': '',
        'x-other': 'not forwarded',
        authorization: 'Bearer not-forwarded',
      },
    )
    const headers = heard.at(-1)
    expect(headers).toMatchObject({ 'x-b3-traceid': traceId, 'x-request-id': 'r-1' })
    expect(headers?.traceparent).toContain(traceId)
    expect(headers).not.toHaveProperty('x-other')
    expect(headers).not.toHaveProperty('authorization')
  })
})
