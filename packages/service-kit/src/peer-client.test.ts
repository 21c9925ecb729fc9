import { mkdtemp, readFile, rm } from 'node:fs/promises'
import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createPeerClient } from './peer-client.ts'
import { runInTrace, traceFrom } from './trace.ts'

const servers: (http.Server | https.Server)[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

const listen = async (server: http.Server | https.Server, port = 0) => {
  servers.push(server)
  await new Promise<void>((resolve) => (server as Server).listen(port, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
const serve = (handle: RequestListener) => listen(http.createServer(handle))

describe('createPeerClient', () => {
  it('sends JSON, keeps connections alive and carries the trace on', async () => {
    const seen: { traceparent: unknown; body: string; port: number | undefined }[] = []
    const port = await serve(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      seen.push({ traceparent: request.headers.traceparent, body, port: request.socket.remotePort })
      response.setHeader('content-type', 'application/json').end('{"answer":42}')
    })
    const peer = createPeerClient({ peer: 'echo', baseUrl: `http://localhost:${port}/base` })
    const trace = traceFrom(undefined)
    for (let call = 0; call < 10; call += 1) {
      const { data, status } = await runInTrace(trace, () =>
        peer.post('/x', { a: 1 }, { params: { q: 'ü' } }),
      )
      expect([status, data]).toEqual([200, { answer: 42 }])
    }
    expect(seen[0]?.body).toBe('{"a":1}')
    expect(seen[0]?.traceparent).toMatch(new RegExp(`^00-${trace.traceId}-[0-9a-f]{16}-00$`))
    expect(new Set(seen.map(({ port }) => port)).size).toBeLessThanOrEqual(2)
  })

  it('reaches a peer on a unix socket, and names the socket when nobody is there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'peer-client-'))
    const socketPath = join(folder, 'peer.sock')
    const peer = createPeerClient({ peer: 'owner', baseUrl: 'http://localhost', socketPath })
    await expect(peer.get('/')).rejects.toMatchObject({
      code: 'peer_unreachable',
      message: `owner at ${socketPath} is not reachable (ENOENT).`,
    })
    const server = http.createServer((request, response) => response.end(request.url))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(socketPath, resolve))
    expect((await peer.get('/path')).data).toBe('/path')
    await rm(folder, { recursive: true })
  })

  it('adds the authorization that it was given, for each call', async () => {
    let calls = 0
    const port = await serve((request, response) => response.end(request.headers.authorization))
    const peer = createPeerClient({
      peer: 'echo',
      baseUrl: `http://localhost:${port}`,
      authorization: () => `Bearer ${++calls}`,
    })
    expect((await peer.get('/')).data).toBe('Bearer 1')
    expect((await peer.get('/')).data).toBe('Bearer 2')
  })

  it('hands every status to its caller, and follows no redirect', async () => {
    const port = await serve((request, response) => {
      response.writeHead(request.url === '/moved' ? 302 : 403, { location: 'http://localhost:1/' }).end('no')
    })
    const peer = createPeerClient({ peer: 'strict', baseUrl: `http://localhost:${port}` })
    expect((await peer.get('/')).status).toBe(403)
    expect((await peer.get('/moved')).status).toBe(302)
  })

  it('names a peer that is not there, and reaches it once it is back', async () => {
    const port = await serve((_, response) => response.end('up'))
    const [server] = servers.splice(0)
    const peer = createPeerClient({ peer: 'service-b', baseUrl: `http://localhost:${port}` })
    expect((await peer.get('/')).data).toBe('up')
    server?.closeAllConnections()
    await new Promise((resolve) => server?.close(resolve))
    await expect(peer.get('/')).rejects.toMatchObject({
      status: 502,
      code: 'peer_unreachable',
      peer: 'service-b',
      message: expect.stringContaining(`service-b at http://localhost:${port} is not reachable`),
    })
    await listen(
      http.createServer((_, response) => response.end('back')),
      port,
    )
    expect((await peer.get('/')).data).toBe('back')
  })

  it('gives up on a peer that does not answer in time', async () => {
    const port = await serve(() => {})
    const peer = createPeerClient({ peer: 'slow', baseUrl: `http://localhost:${port}`, timeoutMs: 50 })
    await expect(peer.get('/')).rejects.toMatchObject({
      status: 504,
      code: 'peer_timeout',
      message: `slow at http://localhost:${port} did not answer within 50 ms.`,
    })
  })

  it('gives up on a peer that drips its answer for ever', async () => {
    const port = await serve((_, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write('.'), 5)
      response.on('close', () => clearInterval(timer))
    })
    const peer = createPeerClient({ peer: 'dripping', baseUrl: `http://localhost:${port}`, timeoutMs: 100 })
    await expect(peer.get('/')).rejects.toMatchObject({ status: 504, code: 'peer_timeout' })
  })

  it('refuses an answer beyond its limit', async () => {
    const port = await serve((_, response) => response.end('x'.repeat(2 * 1024 * 1024)))
    const peer = createPeerClient({ peer: 'huge', baseUrl: `http://localhost:${port}` })
    await expect(peer.get('/')).rejects.toMatchObject({ status: 502, code: 'peer_unreachable' })
  })

  it('speaks TLS to a peer of its own authority alone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'peer-'))
    try {
      const ours = await ensureDevelopmentCertificates(join(folder, 'ours'))
      const theirs = await ensureDevelopmentCertificates(join(folder, 'theirs'))
      const port = await listen(
        https.createServer(
          { cert: await readFile(ours.certFile), key: await readFile(ours.keyFile) },
          (_, response) => response.end('hello'),
        ),
      )
      const baseUrl = `https://localhost:${port}`
      const trusting = createPeerClient({
        peer: 'b',
        baseUrl,
        tls: { ca: await readFile(ours.caFile, 'utf8') },
      })
      expect((await trusting.get('/')).data).toBe('hello')
      const wary = createPeerClient({
        peer: 'b',
        baseUrl,
        tls: { ca: await readFile(theirs.caFile, 'utf8') },
      })
      await expect(wary.get('/')).rejects.toMatchObject({ status: 502, code: 'peer_not_trusted' })
      const misled = createPeerClient({
        peer: 'b',
        baseUrl,
        tls: { ca: await readFile(ours.caFile, 'utf8'), servername: 'bank.example' },
      })
      await expect(misled.get('/')).rejects.toMatchObject({ status: 502, code: 'peer_not_trusted' })
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
