import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, type Service, silentLog } from '@hallpass/service-kit'
import * as agent from '@hallpass/spiffe-agent/app'
import { createSpiffeAgentClient, workloadAddress } from '@hallpass/spiffe-agent/client'
import * as proxy from '@hallpass/spiffe-proxy/app'
import * as server from '@hallpass/spiffe-server/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import request from 'supertest'
import * as serviceA from '../app.ts'

let folder: string
let agentService: Service
let config: ReturnType<typeof agent.loadConfig>
let proxyUrl: string
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
  config = agent.loadConfig(env)
  agentService = await agent.createApp(config, silentLog)
  await agentService.start()
  const { https: SERVER_URL } = await start(await server.createApp(server.loadConfig(env), log))
  const { https: PROXY_URL } = await start(
    await proxy.createApp(proxy.loadConfig({ ...env, SERVER_URL }), log),
  )
  proxyUrl = PROXY_URL as string
  const ownConfig = serviceA.loadConfig({ ...env, SPIFFE_PROXY_URL: PROXY_URL, PEER_TIMEOUT_MS: '1000' })
  url = (await start(await serviceA.createApp(ownConfig, log))).http as string
})
afterAll(async () => {
  for (const service of running.reverse()) await service.stop()
  await agentService.stop()
  await rm(folder, { recursive: true })
})

const scenario5 = (query = '') => request(url).get(`/scenario5${query}`)

describe('GET /scenario5', () => {
  it('is accepted with a token for the server, and shows every hop', async () => {
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

  it('shows the rejection of a token with another audience', async () => {
    const { body } = await scenario5('?audience=spiffe://example.org/some-other-server').expect(200)
    expect(body).toMatchObject({ valid: false, status: 401, message: 'Unauthorized' })
    expect(lines.join('')).toContain(
      'Invalid token: jwtsvid: expected audience in [\\"spiffe://example.org/server\\"] (audience=[\\"spiffe://example.org/some-other-server\\"])',
    )
  })

  it('uses another audience with fault=wrong-audience', async () => {
    const { body } = await scenario5('?fault=wrong-audience').expect(200)
    expect(body).toMatchObject({ valid: false, status: 401, svid: { audience: ['somebody-else'] } })
  })

  it.each([
    '?fault=tampered',
    '?fault=expired',
    '?expired=1',
    '?fault=upside-down',
    '?fault=no-token&audience=x',
  ])('is 400 for a fault that no agent produces (%s), and names the supported one', async (query) => {
    const { body } = await scenario5(query).expect(400)
    expect(body.error).toMatchObject({
      code: 'unknown_fault',
      message:
        'Scenario 5 supports fault=wrong-audience, or audience=ID with your own audience. The agent never signs an SVID with another fault.',
    })
  })

  it('is 400 for two audiences', async () => {
    const { body } = await scenario5('?fault=wrong-audience&audience=x').expect(400)
    expect(body.error).toMatchObject({
      code: 'invalid_audience',
      message: 'audience and fault=wrong-audience both set the audience. Send only one of them.',
    })
  })

  it.each(['?audience=', '?audience=a&audience=b', `?audience=${'x'.repeat(2049)}`])(
    'is 400 without exactly one valid audience (%#)',
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

/** Starts another service A, which has not called its agent yet. */
async function freshServiceA(env: Readonly<Record<string, string>> = {}): Promise<string> {
  const config = serviceA.loadConfig({
    STATE_FOLDER: folder,
    PORT: '0',
    SPIFFE_PROXY_URL: proxyUrl,
    PEER_TIMEOUT_MS: '5000',
    ...env,
  })
  return (await start(await serviceA.createApp(config, silentLog))).http as string
}

async function refusal(baseUrl: string) {
  const began = performance.now()
  const { status, body } = await request(baseUrl).get('/scenario5')
  // Well before any timeout.
  expect(performance.now() - began).toBeLessThan(1_500)
  return { status, ...(body.error as { code: string; message: string }) }
}

describe('GET /scenario5 without an identity', () => {
  const admin = () => createSpiffeAgentClient(config)

  it('is 502 immediately without an agent, with the agent’s name and the cause', async () => {
    const answer = await refusal(await freshServiceA({ STATE_FOLDER: join(folder, 'elsewhere') }))
    expect(answer).toMatchObject({ status: 502, code: 'peer_unreachable' })
    expect(answer.message).toMatch(/^spiffe-agent: unable to create X509Source: .*ENOENT/)
  })

  it('is 503 identity_revoked immediately if its entry is revoked, before or after its first call, and works once it is restored', async () => {
    const asked = url
    const unasked = await freshServiceA()
    await scenario5().expect(200)
    await admin().revoke('service-a')
    for (const baseUrl of [asked, unasked]) {
      const answer = await refusal(baseUrl)
      expect(answer).toMatchObject({ status: 503, code: 'identity_revoked' })
      expect(answer.message).toMatch(
        /^spiffe-agent has revoked the identity of this workload\. Restore its entry .*no identity issued: .* revoked; npm run spiffe:agent -- restore service-a /,
      )
    }
    await admin().restore('service-a')
    await until(async () => (await request(asked).get('/scenario5')).status === 200)
    expect((await request(unasked).get('/scenario5')).status).toBe(200)
  })

  it('is 503 identity_revoked immediately if its entry was removed', async () => {
    await admin().removeEntry('service-a')
    expect(await refusal(url)).toMatchObject({ status: 503, code: 'identity_revoked' })
  })

  it('is 503 identity_not_issued immediately for a workload without an entry', async () => {
    const attested = await attestedAgent()
    const answer = await refusal(await freshServiceA({ SPIFFE_ENDPOINT_SOCKET: attested }))
    expect(answer).toMatchObject({ status: 503, code: 'identity_not_issued' })
    expect(answer.message).toMatch(/^spiffe-agent has no entry for this workload\. Add one/)
  })
})

/** Starts an agent that attests workloads by their kernel credentials, and has an entry for none. */
async function attestedAgent(): Promise<string> {
  const stateFolder = await mkdtemp(join(folder, 'attested-'))
  const entriesFile = join(stateFolder, 'entries.yaml')
  await writeFile(entriesFile, 'entries: []\n')
  const sharedSocket = join(stateFolder, 'shared.sock')
  const env = {
    STATE_FOLDER: stateFolder,
    PORT: '0',
    BUNDLE_ENDPOINT_PROFILE: 'off',
    ATTESTATION: 'peercred',
    SHARED_SOCKET: sharedSocket,
    ENTRIES_FILE: entriesFile,
  }
  await start(await agent.createApp(agent.loadConfig(env), silentLog))
  return `unix://${sharedSocket}`
}

async function until(done: () => Promise<boolean>) {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 50))
}

describe('GET /scenario5 with a server that is down', () => {
  it('is 502 and names the server, and gives no verdict on the token', async () => {
    const gone = createServer().listen(0, '127.0.0.1')
    await once(gone, 'listening')
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    const env = { STATE_FOLDER: folder, PORT: '0', HEALTH_PORT: '0' }
    const { https } = await start(
      await proxy.createApp(proxy.loadConfig({ ...env, SERVER_URL: `https://localhost:${port}` }), log),
    )
    const client = await freshServiceA({
      SPIFFE_PROXY_URL: https as string,
      SPIFFE_ENDPOINT_SOCKET: workloadAddress(folder, 'client'),
    })
    const { status, body } = await request(client).get('/scenario5')
    expect({ status, body }).toEqual({
      status: 502,
      body: {
        error: expect.objectContaining({
          code: 'peer_unexpected_answer',
          message:
            'spiffe-proxy answered 502: spiffe-server did not respond. See the log of spiffe-proxy for the cause.',
        }),
      },
    })
  })
})

describe('GET /scenario5 with a server that does not answer', () => {
  it('is 504 and names the server, before the caller stops waiting', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const env = { STATE_FOLDER: folder, PORT: '0', HEALTH_PORT: '0' }
    const { https } = await start(
      await proxy.createApp(proxy.loadConfig({ ...env, SERVER_URL: `https://localhost:${port}` }), log),
    )
    const frozen = await freshServiceA({
      SPIFFE_PROXY_URL: https as string,
      SPIFFE_ENDPOINT_SOCKET: workloadAddress(folder, 'client'),
      PEER_TIMEOUT_MS: '2000',
    })
    const { status, body } = await request(frozen).get('/scenario5')
    expect([status, body.error.code]).toEqual([504, 'peer_timeout'])
    expect(body.error.message).toMatch(
      /^spiffe-proxy answered 504: spiffe-server at https:\/\/localhost:\d+ did not answer within 1[56]\d\d ms\.$/,
    )
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
})
