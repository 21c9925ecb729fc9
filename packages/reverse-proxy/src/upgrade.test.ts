import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { refuseUpgrade, toHttpError } from '@hallpass/service-kit'
import { afterEach, describe, expect, it } from '@jest/globals'
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
  const statuses: number[] = []
  const proxy = createServer().on('upgrade', (request, socket, head) => {
    forwardUpgrade(request, socket, head, {
      upstream,
      headers: requestHeaders(request, new Set()),
      onAnswer: (status) => statuses.push(status),
    }).catch((error) => refuseUpgrade(socket, toHttpError(error)))
  })
  return { port: await listen(proxy), statuses }
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
    'GET /chat?x=1 HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\nsec-websocket-version: 13\r\n\r\nearly',
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
      socket.on('data', (chunk) => socket.write(`<${chunk}>`))
    })
    const { socket, text } = await shakeHands(proxy.port)
    await until(() => text().includes('<early>'))
    expect(text()).toMatch(/^HTTP\/1\.1 101 /)
    expect(text()).toMatch(/sec-websocket-accept: a/i)
    expect(seen?.url).toBe('/chat?x=1')
    expect(seen?.headers).toMatchObject({ upgrade: 'websocket', 'sec-websocket-key': 'k' })
    socket.write('later')
    await until(() => text().includes('<later>'))
    expect(proxy.statuses).toEqual([101])
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
  })
})

async function until(ask: () => boolean): Promise<void> {
  const deadline = performance.now() + 3_000
  while (!ask()) {
    if (performance.now() > deadline) throw new Error('The condition was not met within 3 s.')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
