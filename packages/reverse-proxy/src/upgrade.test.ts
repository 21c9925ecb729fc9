import { createServer, get, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createLog, httpService, type RequestRecord, recordOf } from '@hallpass/service-kit'
import { describeRecord, developmentConfig, type RecordedAnswer } from '@hallpass/service-kit/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { requestHeaders } from './headers.ts'
import { forwardUpgrade } from './upgrade.ts'
import { Upstream } from './upstream.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

async function proxyTo(
  onUpgrade: ((request: IncomingMessage, socket: Duplex) => void) | undefined,
  port?: number,
) {
  const api = createServer((_request, response) => response.writeHead(401, { 'x-why': 'no' }).end('refused'))
  if (onUpgrade) api.on('upgrade', onUpgrade)
  const upstream = new Upstream({ name: 'api', url: `http://127.0.0.1:${port ?? (await listen(api))}` })
  closing.push(() => upstream.close())
  let log = ''
  const proxy = httpService({
    name: 'proxy',
    log: createLog('proxy', 'info', { write: (line) => (log += line) }),
    config: developmentConfig,
    listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
    routes: () => {},
    onUpgrade: (request, socket, head) => {
      const record = recordOf(request) as RequestRecord
      record.route = 'forwarded'
      return forwardUpgrade(request, socket, head, record, {
        upstream,
        headers: requestHeaders(request, new Set(['x-request-id', 'traceparent'])),
      })
    },
  })
  closing.push(() => proxy.stop())
  const { http: url } = await proxy.start()
  const lines = () =>
    log
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { url: url as string, port: Number(new URL(url as string).port), log: () => log, lines }
}

/** Performs a handshake; returns the connection and a reader of what was received. */
async function shakeHands(port: number): Promise<{ socket: Socket; text: () => string }> {
  let text = ''
  const socket = connect(port, '127.0.0.1')
  closing.push(() => socket.destroy())
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.write(
    'GET /chat?x=1 HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\nsec-websocket-version: 13\r\n\r\nearly',
  )
  return { socket, text: () => text }
}

describe('forwardUpgrade', () => {
  it('joins the two sides after a 101, early bytes included', async () => {
    let seen: IncomingMessage | undefined
    const proxy = await proxyTo((request, socket) => {
      seen = request
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: a\r\n\r\n',
      )
      socket.on('data', (chunk) => socket.write(`<${chunk}>`)).on('end', () => socket.end())
    })
    const { socket, text } = await shakeHands(proxy.port)
    await until(() => text().includes('<early>'))
    expect(text()).toMatch(/^HTTP\/1\.1 101 /)
    expect(text()).toMatch(/sec-websocket-accept: a/i)
    expect(seen?.url).toBe('/chat?x=1')
    expect(seen?.headers).toMatchObject({ upgrade: 'websocket', 'sec-websocket-key': 'k' })
    const [, id] = /x-request-id: (\S+)/i.exec(text()) ?? []
    expect(seen?.headers).toMatchObject({ 'x-request-id': id, traceparent: expect.stringMatching(/^00-/) })
    socket.write('later')
    await until(() => text().includes('<later>'))
    expect(proxy.lines()).toEqual([])
    socket.destroy()
    await until(() => proxy.lines().length > 0)
    expect(proxy.lines()).toEqual([
      expect.objectContaining({
        msg: 'request',
        path: '/chat',
        status: 101,
        us: 101,
        ua: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        ut: expect.any(Number),
        requestId: id,
      }),
    ])
    expect(proxy.lines()[0]).not.toHaveProperty('aborted')
  })

  it('closes one side if the other is closed', async () => {
    let api: Duplex | undefined
    const proxy = await proxyTo((_request, socket) => {
      api = socket
      socket.on('error', () => {})
      socket.resume().on('end', () => socket.destroy())
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n')
    })
    const first = await shakeHands(proxy.port)
    await until(() => first.text().includes('101'))
    first.socket.destroy()
    await until(() => api?.destroyed === true)
    const second = await shakeHands(proxy.port)
    await until(() => second.text().includes('101'))
    api?.destroy()
    await until(() => second.socket.destroyed)
  })

  it('forwards a rejection', async () => {
    const proxy = await proxyTo(undefined)
    const { socket, text } = await shakeHands(proxy.port)
    await until(() => socket.destroyed)
    expect(text()).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/)
    expect(text()).toMatch(/x-why: no/)
    expect(text()).toMatch(/refused$/)
  })

  it('answers 502 if the upstream is unreachable', async () => {
    const port = await listen(createServer())
    await closing.pop()?.()
    const proxy = await proxyTo(undefined, port)
    const { socket, text } = await shakeHands(proxy.port)
    await until(() => socket.destroyed)
    expect(text()).toMatch(/^HTTP\/1\.1 502 Bad Gateway/)
    expect(text()).toContain('peer_unreachable')
    await until(() => proxy.lines().length > 1)
    expect(proxy.lines()).toEqual([
      expect.objectContaining({ level: 40, code: 'peer_unreachable', requestId: expect.any(String) }),
      expect.objectContaining({ msg: 'request', status: 502, reason: 'peer_unreachable' }),
    ])
  })

  it('does not take a client that disconnects for a failure of the upstream', async () => {
    let asked = false
    const proxy = await proxyTo(() => {
      asked = true
    })
    const { socket } = await shakeHands(proxy.port)
    await until(() => asked)
    socket.destroy()
    await until(() => proxy.lines().length > 0)
    expect(proxy.lines()).toEqual([expect.objectContaining({ msg: 'request', status: 0, aborted: true })])
  })
})

describe('the record of an upgrade', () => {
  let proxy: Awaited<ReturnType<typeof proxyTo>>
  const kept: (() => unknown)[] = []
  beforeAll(async () => {
    proxy = await proxyTo((request, socket) => {
      socket.on('error', () => {})
      if (request.url === '/never') return
      socket.end('HTTP/1.1 200 OK\r\nx-request-id: of-the-api\r\nconnection: close\r\n\r\n')
    })
    kept.push(...closing.splice(0))
  })
  afterAll(async () => {
    for (const close of kept.reverse()) await close()
  })

  const ask = (path: string, headers: Readonly<Record<string, string>>, signal?: AbortSignal) =>
    new Promise<RecordedAnswer>((resolve, reject) => {
      get(
        `${proxy.url}${path}`,
        { headers: { host: 'localhost', connection: 'upgrade', upgrade: 'websocket', ...headers }, signal },
        (answer) => {
          const { statusCode: status = 0 } = answer
          answer.resume().on('end', () => resolve({ status, requestId: answer.headers['x-request-id'] }))
        },
      ).on('error', reject)
    })

  describeRecord('an upgrade', () => ({
    service: 'proxy',
    path: '/chat',
    route: 'forwarded',
    ask: (headers) => ask('/chat?q=hidden', headers),
    reason: 'foreign_host',
    beRefused: (headers) => ask('/chat', { ...headers, host: 'evil.example' }),
    leave: (headers) => ask('/never', headers, AbortSignal.timeout(100)).catch(() => {}),
    log: () => proxy.log(),
    metrics: async () => (await fetch(`${proxy.url}/metrics`)).text(),
  }))
})

async function until(ask: () => boolean): Promise<void> {
  const deadline = performance.now() + 3_000
  while (!ask()) {
    if (performance.now() > deadline) throw new Error('The condition was not met within 3 s.')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
