import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import http, { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError, createLog, DEADLINE_HEADER, type HttpService } from '@hallpass/service-kit'
import { describeRecord, type RecordedAnswer } from '@hallpass/service-kit/testing'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

/** An HTTP server in place of a proxy, controlled by the test. */
class FakeProxy {
  readonly seen: IncomingMessage[] = []
  readonly name: string
  ready = true
  answer: RequestListener | undefined
  port = 0
  #server: Server | undefined

  constructor(name: string) {
    this.name = name
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  async start() {
    this.#server = createServer((request, response) => {
      if (request.url === '/readyz') return void response.writeHead(this.ready ? 200 : 503).end()
      this.seen.push(request)
      if (this.answer) return this.answer(request, response)
      response.end(this.name)
    })
    await new Promise<void>((resolve) => this.#server?.listen(this.port, '127.0.0.1', resolve))
    this.port = (this.#server.address() as AddressInfo).port
  }

  async stop() {
    this.#server?.closeAllConnections()
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined))
    this.#server = undefined
  }
}

let folder: string
let proxies: FakeProxy[]
let balancer: HttpService | undefined
let url: string
let lines: string[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'balancer-'))
  proxies = ['one', 'two'].map((name) => new FakeProxy(name))
  await Promise.all(proxies.map((proxy) => proxy.start()))
  lines = []
})
afterEach(async () => {
  await balancer?.stop()
  balancer = undefined
  await Promise.all(proxies.map((proxy) => proxy.stop()))
  await rm(folder, { recursive: true })
})

async function start(env: Record<string, string> = {}) {
  const config = loadConfig({
    STATE_FOLDER: folder,
    PORT: '0',
    PROXY_URLS: proxies.map((proxy) => proxy.url).join(),
    CHECK_MS: '100',
    ...env,
  })
  balancer = await createApp(
    config,
    createLog('token-cache-load-balancer', 'info', { write: (line) => void lines.push(line) }),
  )
  url = (await balancer.start()).http as string
}
const ask = async (path = '/', init?: RequestInit) => {
  const response = await fetch(url + path, init)
  return [response.status, await response.text()] as const
}
const [ONE, TWO] = [
  [200, 'one'],
  [200, 'two'],
] as const

describe('the load balancer', () => {
  it('sends requests to the proxies in turn', async () => {
    await start()
    expect([await ask(), await ask(), await ask(), await ask()]).toEqual([ONE, TWO, ONE, TWO])
  })

  it('authenticates itself to the proxies', async () => {
    await start()
    await ask('/', { headers: { 'x-hallpass-tier': 'forged' } })
    const secret = readFileSync(join(folder, 'token-cache/tier-secret'), 'utf8').trim()
    expect(proxies[0]?.seen[0]?.headers['x-hallpass-tier']).toBe(secret)
  })

  it('sets the origin fields itself, and strips the identity fields of callers', async () => {
    await start()
    await ask('/', {
      headers: {
        'remote-user': 'user1',
        'x-forwarded-for': '192.0.2.1',
        'x-real-ip': '192.0.2.1',
        'x-forwarded-user': 'admin',
        'x-auth-request-user': 'admin',
        'client-cert': ':abc:',
        'x-kept': 'yes',
        authorization: 'Bearer theirs',
      },
    })
    const headers = proxies[0]?.seen[0]?.headers
    expect(headers).toMatchObject({
      'remote-user': 'user1',
      'x-forwarded-for': expect.stringMatching(/^(127\.0\.0\.1|::1)$/),
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(url).host,
      'x-kept': 'yes',
      authorization: 'Bearer theirs',
    })
    for (const name of ['x-real-ip', 'x-forwarded-user', 'x-auth-request-user', 'client-cert'])
      expect(headers).not.toHaveProperty(name)
  })

  it('AL-60 ignores remote-user unless it trusts its callers, which it does by default only on loopback', async () => {
    await start({ REMOTE_USER_FROM: 'nobody' })
    await ask('/', { headers: { 'remote-user': 'admin', 'Remote-User': 'root' } })
    expect(proxies[0]?.seen[0]?.headers).not.toHaveProperty('remote-user')
    expect(() => loadConfig({ REMOTE_USER_FROM: 'anyone', HOST: '0.0.0.0' })).toThrow(ConfigError)
    expect(() => loadConfig({ REMOTE_USER_FROM: 'anyone', NODE_ENV: 'production' })).toThrow(
      /REMOTE_USER_FROM=anyone allows any caller to be any user/,
    )
    expect(loadConfig({ HOST: '0.0.0.0' }).remoteUserFrom).toBe('nobody')
  })

  it('logs one line per request, with the upstreams that it tried', async () => {
    await start()
    await proxies[0]?.stop()
    await ask('/path?secret=1')
    const line = lines.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'request')
    expect(line).toMatchObject({ method: 'GET', path: '/path', status: 200, us: 200, ul: 3 })
    expect(line.ua).toBe(`${addressOf(0)}, ${addressOf(1)}`)
  })

  it('accepts no more connections than its maximum', async () => {
    await start({ MAX_CONNECTIONS: '1' })
    const { port } = new URL(url)
    const first = connect(Number(port), '127.0.0.1')
    await new Promise((resolve) => first.once('connect', resolve))
    first.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await new Promise((resolve) => first.once('data', resolve))
    const second = connect(Number(port), '127.0.0.1')
    second.on('error', () => {})
    let heard = ''
    second.on('data', (chunk) => {
      heard += chunk
    })
    second.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await new Promise((resolve) => second.once('close', resolve))
    expect(heard).toBe('')
    first.destroy()
  })

  it('rejects TRACE', async () => {
    await start()
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () =>
        socket.write('TRACE / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'),
      )
      socket.on('data', (chunk) => resolve(chunk.toString()))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 405 /)
    expect(proxies[0]?.seen).toEqual([])
  })
})

describe('a proxy that is down', () => {
  it('is not used any more, immediately: no idempotent request fails', async () => {
    await start()
    await ask()
    await proxies[1]?.stop()
    for (let i = 0; i < 10; i += 1) expect(await ask()).toEqual(ONE)
    expect(lines.join()).toContain('proxy down')
  })

  it('is reported in the error if there is no other', async () => {
    await start()
    for (const proxy of proxies) await proxy.stop()
    const [status, body] = await ask()
    expect(status).toBe(502)
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'peer_unreachable' } })
  })

  it('does not cause a retry of a POST that may have reached it, but the next one succeeds', async () => {
    await start()
    if (proxies[0]) proxies[0].answer = (request) => void request.socket.destroy()
    const [status, body] = await ask('/', { method: 'POST', body: 'x' })
    expect(status).toBe(502)
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'peer_unreachable' } })
    expect(await ask('/', { method: 'POST', body: 'x' })).toEqual(TWO)
  })

  it('is used again as soon as it is ready', async () => {
    await start()
    await proxies[0]?.stop()
    for (let i = 0; i < 3; i += 1) expect(await ask()).toEqual(TWO)
    await proxies[0]?.start()
    await until(async () => (await ask())[1] === 'one')
  })

  it('is not used while it is not ready, before it closes its port', async () => {
    await start()
    if (proxies[0]) proxies[0].ready = false
    await until(async () => lines.join().includes('answered 503'))
    for (let i = 0; i < 4; i += 1) expect(await ask()).toEqual(TWO)
  })

  it('is tried if all seem to be down; if all are, the response is 502', async () => {
    await start()
    for (const proxy of proxies) proxy.ready = false
    await until(async () => lines.filter((line) => line.includes('answered 503')).length === 2)
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    expect((await ask())[0]).toBe(200)
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    expect((await ask())[0]).toBe(502)
  })

  it('is tried after one that answers, if none is ready', async () => {
    await start()
    for (const proxy of proxies) proxy.ready = false
    await until(async () => lines.filter((line) => line.includes('answered 503')).length === 2)
    await proxies[0]?.stop()
    for (let i = 0; i < 6; i += 1) expect(await ask()).toEqual(TWO)
    const requests = lines.map((text) => JSON.parse(text)).filter(({ msg }) => msg === 'request')
    // The first one tried can be the one that has just stopped.
    expect(requests.slice(-4).map(({ ua }) => ua)).toEqual(Array(4).fill(addressOf(1)))
  })

  it('is not marked as down because a client disconnects during its request body', async () => {
    await start()
    for (const proxy of proxies)
      proxy.answer = (request, response) => void request.resume().on('end', () => response.end('ok'))
    for (let i = 0; i < 4; i += 1)
      await new Promise<void>((resolve) => {
        const socket = connect(Number(new URL(url).port), '127.0.0.1', () => {
          socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\npart')
          setTimeout(() => socket.destroy(), 30)
        })
        socket.on('close', () => resolve())
      })
    expect(lines.join()).not.toContain('proxy down')
  })

  it.each(['connection: close\r\n', 'connection: upgrade\r\nupgrade: websocket\r\n'])(
    'is not marked as down because a request is not valid (%j)',
    async (fields) => {
      await start()
      for (const [target, status] of [
        ['OPTIONS *', 400],
        ['M-SEARCH *', 400],
        ['GET /', 504],
      ] as const)
        expect(
          await raw(`${target} HTTP/1.1\r\nhost: localhost\r\n${DEADLINE_HEADER}: 1\r\n${fields}\r\n`),
        ).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(lines.join()).not.toContain('proxy down')
      expect(proxies.flatMap(({ seen }) => seen)).toEqual([])
    },
  )
})

/** Sends raw bytes and resolves with everything received until the connection is closed. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('close', () => resolve(answer)).on('error', reject)
  })
}

const addressOf = (index: number) => `127.0.0.1:${proxies[index]?.port}`

async function until(ask: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 3_000
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error('timed out after 3 s')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('each request', () => {
  beforeEach(() => start())
  describeRecord('the load balancer', () => ({
    service: 'token-cache-load-balancer',
    path: '/any/path',
    route: 'forwarded',
    ask: (headers) => recorded('GET', '/any/path?q=hidden', headers),
    reason: 'method_not_allowed',
    beRefused: (headers) => recorded('TRACE', '/', headers),
    leave: (headers) => {
      for (const proxy of proxies) proxy.answer = () => {}
      return fetch(url, { headers, signal: AbortSignal.timeout(100) }).catch(() => {})
    },
    log: () => lines.join(''),
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
  }))

  /** The proxies of the test answer it like any other request. */
  const upgrade = (headers: Readonly<Record<string, string>>, method = 'GET', signal?: AbortSignal) =>
    recorded(
      method,
      '/any/path?q=hidden',
      { ...headers, connection: 'upgrade', upgrade: 'websocket' },
      signal,
    )

  describeRecord('an upgrade at the load balancer', () => ({
    service: 'token-cache-load-balancer',
    path: '/any/path',
    route: 'forwarded',
    ask: (headers) => upgrade(headers),
    reason: 'method_not_allowed',
    beRefused: (headers) => upgrade(headers, 'TRACE'),
    leave: (headers) => {
      for (const proxy of proxies) proxy.answer = () => {}
      return upgrade(headers, 'GET', AbortSignal.timeout(100)).catch(() => {})
    },
    log: () => lines.join(''),
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
  }))

  it('names both proxies if the first one did not take the upgrade', async () => {
    await proxies[0]?.stop()
    const { status, requestId } = await upgrade({})
    expect(status).toBe(200)
    const find = () =>
      lines.map((text) => JSON.parse(text)).find((entry) => entry.requestId === requestId && entry.us)
    // The line is written a moment after the response.
    for (let tries = 0; !find() && tries < 100; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 10))
    expect(find()).toMatchObject({
      us: 200,
      ua: `127.0.0.1:${proxies[0]?.port}, 127.0.0.1:${proxies[1]?.port}`,
    })
  })
})

async function recorded(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  signal?: AbortSignal,
) {
  return new Promise<RecordedAnswer>((resolve, reject) => {
    const request = http.request(url + path, { method, headers, signal, agent: false }, (answer) => {
      const { statusCode: status = 0 } = answer
      answer.resume().on('end', () => resolve({ status, requestId: answer.headers['x-request-id'] }))
    })
    request.on('error', reject).end()
  })
}
