import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type http from 'node:http'
import https from 'node:https'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, type Service, silentLog } from '@hallpass/service-kit'
import { authorizeId, JwtSource, SpiffeAgent, tlsClient, X509Source } from '@hallpass/spiffe'
import * as agent from '@hallpass/spiffe-agent/app'
import { workloadAddress } from '@hallpass/spiffe-agent/client'
import * as proxy from '@hallpass/spiffe-proxy/app'
import * as server from '@hallpass/spiffe-server/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { callServer } from './app.ts'
import { loadConfig } from './config.ts'

const AUDIENCE = 'spiffe://example.org/server'

let folder: string
let agentService: Service
let proxyUrl: string
let spiffeAgent: SpiffeAgent
let source: X509Source
let tokens: JwtSource
const services: Service[] = []
const lines: string[] = []
const log = createLog('test', 'info', { write: (line) => void lines.push(line) })
const said = () => lines.map((line) => JSON.parse(line).msg as string)

async function start(service: Service) {
  services.unshift(service)
  return service.start()
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spiffe-client-'))
  const env = { STATE_FOLDER: folder, PORT: '0', HEALTH_PORT: '0', BUNDLE_ENDPOINT_PORT: '0' }
  agentService = await agent.createApp(agent.loadConfig(env), silentLog)
  await agentService.start()
  const { https: SERVER_URL } = await start(await server.createApp(server.loadConfig(env), log))
  const urls = await start(await proxy.createApp(proxy.loadConfig({ ...env, SERVER_URL }), log))
  proxyUrl = urls.https as string
  const address = workloadAddress(folder, 'client')
  source = await X509Source.open({ address })
  tokens = await JwtSource.open({ address })
  spiffeAgent = new SpiffeAgent(tlsClient(source, authorizeId(AUDIENCE)), { keepAlive: false })
}, 60_000)
afterAll(async () => {
  source.close()
  tokens.close()
  spiffeAgent.destroy()
  for (const service of services) await service.stop()
  await agentService.stop()
  await rm(folder, { recursive: true, force: true })
})

const configOf = (env: Readonly<Record<string, string>> = {}) =>
  loadConfig({ STATE_FOLDER: folder, PROXY_URL: proxyUrl, ...env })

interface Answer {
  readonly status: number | undefined
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** Sends a request with these headers through the proxy. */
const send = (headers: http.OutgoingHttpHeaders, path = '/', method = 'GET', body?: string) =>
  new Promise<Answer>((resolve, reject) => {
    const request = https.request(proxyUrl + path, { agent: spiffeAgent, method, headers }, (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: text }),
      )
    })
    request.on('error', reject).end(body)
  })
const goodToken = async () => `Bearer ${(await tokens.fetchJwtSvid({ audience: AUDIENCE })).marshal()}`

describe('the client', () => {
  it('returns the body of a 200 response', async () => {
    expect(await callServer(configOf())).toBe('Success!!!')
  })

  it('reports any other status', async () => {
    await expect(callServer(configOf(), 'spiffe://example.org/some-other-server')).rejects.toThrow(
      /^unexpected status: 401$/,
    )
    const stranger = configOf({ SPIFFE_ENDPOINT_SOCKET: workloadAddress(folder, 'stranger') })
    await expect(callServer(stranger)).rejects.toThrow(/^unexpected status: 403$/)
  })

  it('reports the ID of another server in place of the proxy', async () => {
    await expect(callServer(configOf({ SERVER_ID: 'spiffe://example.org/x' }))).rejects.toThrow(
      `unable to connect to "${proxyUrl}": Get "${proxyUrl}": unexpected ID "spiffe://example.org/server"`,
    )
  })

  it('reports why it has no identity on timeout', async () => {
    const nowhere = configOf({ SPIFFE_ENDPOINT_SOCKET: `unix://${folder}/nothing.sock`, TIMEOUT_MS: '300' })
    await expect(callServer(nowhere)).rejects.toThrow(
      /^unable to create X509Source: context deadline exceeded: \d+ attempts, the last one: .*ENOENT/,
    )
  })

  it('times out on a proxy that does not answer the TLS handshake, and closes the connection', async () => {
    const sockets: Socket[] = []
    const mute = createServer((socket) => void sockets.push(socket.on('error', () => {}).resume()))
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const url = `https://127.0.0.1:${(mute.address() as AddressInfo).port}`
    await expect(callServer(configOf({ PROXY_URL: url, TIMEOUT_MS: '400' }))).rejects.toThrow(
      `unable to connect to "${url}": Get "${url}": spiffe-proxy at ${url} did not answer within 400 ms.`,
    )
    // An open connection would keep the process of the client from ending.
    await expect(
      Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close'))),
    ).resolves.toHaveLength(1)
    mute.close()
  })
})

describe('the server, through the proxy', () => {
  it.each([
    ['no header', {}],
    ['another scheme', { authorization: 'Basic dTpw' }],
    ['a scheme in lower case', { authorization: 'bearer token' }],
    ['no token', { authorization: 'Bearer' }],
    ['two tokens', { authorization: 'Bearer a b' }],
  ])('rejects %s as malformed', async (_, headers) => {
    const answer = await send(headers)
    expect([answer.status, answer.body]).toEqual([401, 'Invalid or unsupported authorization header\n'])
    expect(answer.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '44',
      'x-content-type-options': 'nosniff',
    })
    expect(said()).toContain('Malformed header')
  })

  it('rejects an invalid token and a token for another audience, and logs why', async () => {
    const answer = await send({ authorization: 'Bearer nonsense' })
    expect([answer.status, answer.body]).toEqual([401, 'Unauthorized\n'])
    expect(said()).toContain('Invalid token: jwtsvid: unable to parse JWT token')
    const other = await tokens.fetchJwtSvid({ audience: 'spiffe://example.org/some-other-server' })
    expect((await send({ authorization: `Bearer ${other.marshal()}` })).status).toBe(401)
    expect(said()).toContain(
      'Invalid token: jwtsvid: expected audience in ["spiffe://example.org/server"] (audience=["spiffe://example.org/some-other-server"])',
    )
  })

  it('answers every path and method the same, and logs no token', async () => {
    const authorization = await goodToken()
    for (const [path, method] of [
      ['/', 'GET'],
      ['/foo?x=1', 'GET'],
      ['/healthz', 'POST'],
    ] as const) {
      const answer = await send({ authorization }, path, method, method === 'POST' ? 'body' : undefined)
      expect([answer.status, answer.body]).toEqual([200, 'Success!!!'])
      expect(answer.headers).toMatchObject({
        'content-type': 'text/plain; charset=utf-8',
        via: '1.1 spiffe-proxy',
      })
    }
    expect(said()).toEqual(
      expect.arrayContaining(['Request received', 'GET /', 'GET /foo?x=1', 'POST /healthz']),
    )
    expect(lines.join('')).not.toContain('eyJ')
  })
})

describe('the proxy', () => {
  it('answers 502 with an empty body if the server is unreachable, and keeps running', async () => {
    const config = proxy.loadConfig({
      STATE_FOLDER: folder,
      PORT: '0',
      HEALTH_PORT: '0',
      SERVER_URL: 'https://localhost:1',
    })
    const { https: url } = await start(await proxy.createApp(config, log))
    for (let round = 0; round < 2; round += 1) {
      const status = await new Promise((resolve, reject) => {
        https
          .get(url as string, { agent: spiffeAgent }, (response) => {
            response.resume()
            resolve([response.statusCode, response.headers['content-length']])
          })
          .on('error', reject)
      })
      expect(status).toEqual([502, '0'])
    }
    expect(said().some((line) => /^http: proxy error: .*ECONNREFUSED/.test(line))).toBe(true)
    const request = lines.map((line) => JSON.parse(line)).find(({ reason }) => reason === 'peer_unreachable')
    expect(request).toMatchObject({ msg: 'request', path: '/', status: 502, ua: 'localhost:1' })
  })

  it('does not answer plain HTTP', async () => {
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(Number(new URL(proxyUrl).port), 'localhost', () =>
        socket.write('GET / HTTP/1.1\r\n\r\n'),
      )
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
      })
      socket.on('close', () => resolve(text)).on('error', () => {})
    })
    expect(answer).not.toContain('HTTP/1.1 200')
  })
})
