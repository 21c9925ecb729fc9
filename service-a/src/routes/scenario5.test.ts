import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, type Service, silentLog } from '@hallpass/service-kit'
import * as agent from '@hallpass/spiffe-agent/app'
import * as proxy from '@hallpass/spiffe-proxy/app'
import * as server from '@hallpass/spiffe-server/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import * as serviceA from '../app.ts'

let folder: string
let agentService: Service
let url: string
const running: Service[] = []
const lines: string[] = []
const log = createLog('test', 'info', { write: (line) => void lines.push(line) })

async function start(service: Service) {
  running.push(service)
  return service.start()
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scenario5-'))
  const env = { STATE_FOLDER: folder, PORT: '0', HEALTH_PORT: '0', BUNDLE_ENDPOINT_PORT: '0' }
  agentService = agent.createApp(agent.loadConfig(env), silentLog)
  await agentService.start()
  const { https: SERVER_URL } = await start(server.createApp(server.loadConfig(env), log))
  const { https: PROXY_URL } = await start(proxy.createApp(proxy.loadConfig({ ...env, SERVER_URL }), log))
  const config = serviceA.loadConfig({ ...env, SPIFFE_PROXY_URL: PROXY_URL, PEER_TIMEOUT_MS: '1000' })
  url = (await start(serviceA.createApp(config, log))).http as string
})
afterAll(async () => {
  for (const service of running.reverse()) await service.stop()
  await agentService.stop()
  await rm(folder, { recursive: true })
})

const scenario5 = (query = '') => request(url).get(`/scenario5${query}`)

describe('GET /scenario5', () => {
  it('is let in with a token for the server, and shows every hop', async () => {
    const { body } = await scenario5().expect(200)
    expect(body).toEqual({
      valid: true,
      status: 200,
      message: 'Success!!!',
      svid: {
        id: 'spiffe://example.org/service-a',
        audience: ['spiffe://example.org/server'],
        expiresAt: expect.any(String),
        jti: expect.any(String),
      },
      hops: [
        {
          from: 'service-a',
          to: 'spiffe-agent',
          gets: 'a JWT-SVID of spiffe://example.org/service-a for spiffe://example.org/server',
        },
        { from: 'service-a', to: 'spiffe-proxy', over: 'TLS', peer: 'spiffe://example.org/server' },
        { from: 'spiffe-proxy', to: 'spiffe-server', over: 'TLS', peer: 'spiffe://example.org/server' },
      ],
    })
  })

  it('shows the refusal of a token for somebody else', async () => {
    const { body } = await scenario5('?audience=spiffe://example.org/some-other-server').expect(200)
    expect(body).toMatchObject({ valid: false, status: 401, message: 'Unauthorized' })
    expect(lines.join('')).toContain(
      'Invalid token: jwtsvid: expected audience in [\\"spiffe://example.org/server\\"] (audience=[\\"spiffe://example.org/some-other-server\\"])',
    )
  })

  it.each(['?audience=', '?audience=a&audience=b', `?audience=${'x'.repeat(2049)}`])(
    'is 400 without one audience (%#)',
    async (query) => {
      const { body } = await scenario5(query).expect(400)
      expect(body.error.code).toBe('invalid_audience')
    },
  )

  it('writes no token into any log', () => {
    expect(lines.join('')).toContain('Request received')
    expect(lines.join('')).not.toMatch(/eyJ/)
  })
})

describe('GET /scenario5 without an agent', () => {
  it('is 504, names the agent and what is wrong with it', async () => {
    const config = serviceA.loadConfig({
      STATE_FOLDER: join(folder, 'elsewhere'),
      PORT: '0',
      PEER_TIMEOUT_MS: '500',
    })
    const { http } = await start(serviceA.createApp(config, silentLog))
    const { status, body } = await request(http as string).get('/scenario5')
    expect([status, body.error.code]).toEqual([504, 'peer_timeout'])
    expect(body.error.message).toMatch(
      /^spiffe-agent: unable to create X509Source: context deadline exceeded: \d+ attempts, the last one: .*ENOENT/,
    )
  })
})
