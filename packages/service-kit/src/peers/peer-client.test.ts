import { mkdtemp, readFile, rm } from 'node:fs/promises'
import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { afterEach, describe, expect, it } from '@jest/globals'
import { runInTrace, traceFrom } from '../observation/trace.ts'
import { createPeerClient } from './peer-client.ts'
import { fetchOver, lazyPeerClient } from './peers.ts'

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
  it('sends JSON, keeps connections alive and propagates the trace', async () => {
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

  it('reaches a peer on a unix socket, and names the socket if it does not exist', async () => {
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

  it('gets the authorization for each call', async () => {
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

  it('returns every status to its caller and follows no redirect', async () => {
    const port = await serve((request, response) => {
      response.writeHead(request.url === '/moved' ? 302 : 403, { location: 'http://localhost:1/' }).end('no')
    })
    const peer = createPeerClient({ peer: 'strict', baseUrl: `http://localhost:${port}` })
    expect((await peer.get('/')).status).toBe(403)
    expect((await peer.get('/moved')).status).toBe(302)
  })

  it('names an unreachable peer, and reaches it once it has recovered', async () => {
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

  it('times out on a silent peer', async () => {
    const port = await serve(() => {})
    const peer = createPeerClient({ peer: 'slow', baseUrl: `http://localhost:${port}`, timeoutMs: 50 })
    await expect(peer.get('/')).rejects.toMatchObject({
      status: 504,
      code: 'peer_timeout',
      message: `slow at http://localhost:${port} did not answer within 50 ms.`,
    })
  })

  it('times out on a response that arrives too slowly', async () => {
    const port = await serve((_, response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write('.'), 5)
      response.on('close', () => clearInterval(timer))
    })
    const peer = createPeerClient({ peer: 'dripping', baseUrl: `http://localhost:${port}`, timeoutMs: 100 })
    await expect(peer.get('/')).rejects.toMatchObject({ status: 504, code: 'peer_timeout' })
  })

  it('returns a stream once its headers arrive, and ends the call when the stream is destroyed', async () => {
    let gone = false
    const port = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const timer = setInterval(() => response.write('data: tick\n\n'), 5)
      response.on('close', () => {
        gone = true
        clearInterval(timer)
      })
    })
    const peer = createPeerClient({ peer: 'ticking', baseUrl: `http://localhost:${port}`, timeoutMs: 200 })
    const { status, data } = await peer.get<Readable>('/', { responseType: 'stream' })
    const started = performance.now()
    let text = ''
    for await (const chunk of data) {
      text += chunk
      // Longer than the timeout, which applies to the headers only.
      if (performance.now() - started > 300) break
    }
    expect([status, text.startsWith('data: tick\n\n')]).toEqual([200, true])
    while (!gone) await new Promise((resolve) => setTimeout(resolve, 5))
  })

  it('allows streams longer than the limit for a response', async () => {
    const port = await serve((_, response) => response.end('x'.repeat(2 * 1024 * 1024)))
    const peer = createPeerClient({ peer: 'long', baseUrl: `http://localhost:${port}` })
    const { data } = await peer.get<Readable>('/', { responseType: 'stream' })
    expect(Buffer.concat(await data.toArray())).toHaveLength(2 * 1024 * 1024)
  })

  it('times out on a stream that does not begin, and reports an interrupted one', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/silent') return
      response.writeHead(200).write('half')
      setTimeout(() => response.destroy(), 20)
    })
    const peer = createPeerClient({ peer: 'broken', baseUrl: `http://localhost:${port}` })
    const began = performance.now()
    await expect(peer.get('/silent', { responseType: 'stream', timeout: 100 })).rejects.toMatchObject({
      status: 504,
      code: 'peer_timeout',
      message: `broken at http://localhost:${port} did not answer within 100 ms.`,
    })
    expect(performance.now() - began).toBeLessThan(1_000)
    const { data } = await peer.get<Readable>('/', { responseType: 'stream' })
    await expect(data.toArray()).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' })
  })

  it('does not join cookies, and does not parse text', async () => {
    const port = await serve((_, response) =>
      response
        .setHeader('set-cookie', ['a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'b=2'])
        .end('9007199254740993'),
    )
    const peer = createPeerClient({ peer: 'baker', baseUrl: `http://localhost:${port}` })
    const { data, headers } = await peer.get('/')
    expect(headers['set-cookie']).toEqual(['a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'b=2'])
    // A number that JavaScript cannot represent.
    expect(data).toBe('9007199254740993')
    expect((await peer.get('/', { responseType: 'text' })).data).toBe('9007199254740993')
  })

  it('accepts only certificates of the configured CA', async () => {
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

describe('createPeerClient without a base URL', () => {
  it('calls any address, with separate connections for each origin, and follows no redirect', async () => {
    const elsewhere = await serve((request, response) => response.end(`elsewhere ${request.url}`))
    const port = await serve((request, response) => {
      if (request.url === '/moved')
        response.writeHead(302, { location: `http://localhost:${elsewhere}/` }).end('moved')
      else response.end(`here ${request.url}`)
    })
    const client = createPeerClient({ peer: 'any' })
    expect((await client.get(`http://localhost:${port}/x?y=1#z`)).data).toBe('here /x?y=1')
    expect((await client.get(`http://localhost:${elsewhere}/`)).data).toBe('elsewhere /')
    const { status, data } = await client.get(`http://localhost:${port}/moved`)
    expect([status, data]).toEqual([302, 'moved'])
  })

  it('ignores proxy variables of the environment', async () => {
    const port = await serve((_, response) => response.end('direct'))
    process.env.http_proxy = 'http://127.0.0.1:1'
    try {
      expect((await createPeerClient({ peer: 'any' }).get(`http://127.0.0.1:${port}/`)).data).toBe('direct')
    } finally {
      delete process.env.http_proxy
    }
  })
})

describe('fetchOver', () => {
  it('sends the request of a library and returns a Response like fetch', async () => {
    const port = await serve(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      if (request.method === 'DELETE') return response.writeHead(204).end()
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ method: request.method, type: request.headers['content-type'], body }))
    })
    const ask = fetchOver(lazyPeerClient({ peer: 'issuer' }))
    const answer = await ask(new URL(`http://localhost:${port}/token`), {
      method: 'POST',
      headers: new Headers({ 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' }),
      body: new URLSearchParams({ grant_type: 'a b' }),
    })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(await answer.json()).toEqual({
      method: 'POST',
      type: 'application/x-www-form-urlencoded;charset=UTF-8',
      body: 'grant_type=a+b',
    })
    expect((await ask(`http://localhost:${port}/token`, { method: 'DELETE' })).status).toBe(204)
    await expect(ask('http://localhost:1/')).rejects.toMatchObject({ code: 'peer_unreachable' })
  })
})
