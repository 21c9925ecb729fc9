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
