import { once } from 'node:events'
import http, { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { DEADLINE_HEADER, deadlineFrom, HttpError } from '@hallpass/service-kit'
import { afterEach, describe, expect, it } from '@jest/globals'
import { errors } from 'undici'
import { type ForwardOptions, forward, type Outcome } from './forward.ts'
import { requestHeaders } from './headers.ts'
import { Upstream } from './upstream.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Starts a server that closes each connection as soon as a request arrives. */
async function breaking(): Promise<{ url: string; broken: () => number }> {
  let broken = 0
  const server = createTcpServer((socket) => {
    socket.once('data', () => {
      broken += 1
      socket.resetAndDestroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => new Promise((resolve) => server.close(resolve)))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, broken: () => broken }
}

interface ProxyOptions extends Partial<Pick<ForwardOptions, 'refuseLate' | 'retry'>> {
  readonly upstreams: readonly string[]
}

/** Starts a proxy that only calls `forward`. */
async function startProxy({ upstreams: urls, ...options }: ProxyOptions) {
  const upstreams = urls.map(
    (url) => new Upstream({ name: 'api', url, connectTimeoutMs: 500, answerTimeoutMs: 400 }),
  )
  closing.push(() => Promise.all(upstreams.map((upstream) => upstream.close())))
  const outcomes: Outcome[] = []
  const left = upstreams.slice(1)
  const server = createServer((request, response) => {
    forward(request, response, {
      upstream: upstreams[0] as Upstream,
      headers: requestHeaders(request, new Set(['x-stripped'])),
      deadline: deadlineFrom(request.headers[DEADLINE_HEADER]),
      ...(left.length > 0 ? { retry: () => left.shift() } : {}),
      onFailure: ({ status, code }) => {
        if (!request.complete) response.setHeader('connection', 'close')
        response.writeHead(status).end(code)
      },
      onEnd: (outcome) => outcomes.push(outcome),
      ...options,
    })
  })
  return { url: await listen(server), outcomes }
}

async function proxyTo(listener: RequestListener, options: Omit<ProxyOptions, 'upstreams'> = {}) {
  return startProxy({ upstreams: [await listen(createServer(listener))], ...options })
}

const textOf = async (message: IncomingMessage) => {
  let text = ''
  for await (const chunk of message.setEncoding('utf8')) text += chunk
  return text
}

/** Opens a request whose body the test writes later. */
function open(url: string, options: http.RequestOptions = {}) {
  const request = http.request(url, { agent: false, ...options })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject)
  })
  answer.catch(() => {})
  return { request, answer }
}

describe('forward', () => {
  it('forwards method, path, query, headers and body, and returns status, headers and body', async () => {
    const proxy = await proxyTo(async (request, response) => {
      const body = await textOf(request)
      response.writeHead(418, 'Short and stout', { 'x-answer': 'a', 'set-cookie': ['a=1', 'b=2'] })
      response.end(
        JSON.stringify({ method: request.method, url: request.url, field: request.headers['x-field'], body }),
      )
    })
    const answer = await fetch(`${proxy.url}/a%2Fb?q=%20`, {
      method: 'PUT',
      body: 'söme body',
      headers: { 'x-field': 'v', 'x-stripped': 'no' },
    })
    expect([answer.status, answer.statusText]).toEqual([418, 'Short and stout'])
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(await answer.json()).toEqual({ method: 'PUT', url: '/a%2Fb?q=%20', field: 'v', body: 'söme body' })
    expect(proxy.outcomes).toMatchObject([{ upstreamStatus: 418 }])
  })

  it('strips hop-by-hop headers in both directions (RFC 9110 §7.6.1)', async () => {
    let seen: IncomingMessage['headers'] = {}
    const proxy = await proxyTo((request, response) => {
      seen = request.headers
      response.writeHead(200, {
        connection: 'x-private',
        'x-private': 'p',
        'keep-alive': 'timeout=99',
        'x-kept': 'k',
      })
      response.end('ok')
    })
    const { request, answer } = open(proxy.url, {
      headers: {
        connection: 'close, X-Mine',
        'x-mine': 'm',
        te: 'trailers',
        'proxy-authorization': 'Basic eDp5',
        'x-stripped': 's',
        'x-kept': 'k',
      },
    })
    request.end()
    const { headers } = await answer
    expect(headers).toMatchObject({ 'x-kept': 'k' })
    expect(headers).not.toHaveProperty('x-private')
    expect(headers['keep-alive']).not.toBe('timeout=99')
    expect(seen).toMatchObject({ 'x-kept': 'k' })
    for (const name of ['x-mine', 'te', 'proxy-authorization', 'x-stripped'])
      expect(seen).not.toHaveProperty(name)
  })

  it('streams a request body while it is being written', async () => {
    const received: string[] = []
    const proxy = await proxyTo((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => received.push(chunk))
      request.on('end', () => response.end(received.join('')))
    })
    const { request, answer } = open(proxy.url, { method: 'POST' })
    request.write('one')
    await until(() => received.length === 1)
    request.write('two')
    await until(() => received.length === 2)
    request.end('three')
    expect(await textOf(await answer)).toBe('onetwothree')
  })

  it('streams events as they arrive, and the headers before the first event', async () => {
    let send: (event: string) => void = () => {}
    const proxy = await proxyTo((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      send = (event) => void response.write(event)
    })
    const { request, answer } = open(proxy.url)
    request.end()
    const stream = (await answer).setEncoding('utf8')
    const events: string[] = []
    stream.on('data', (event: string) => events.push(event))
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      send(event)
      await until(() => events.includes(event))
    }
    request.destroy()
    await until(() => proxy.outcomes.length === 1)
  })

  it('slows an upstream to the pace of a slow reader, in flat memory', async () => {
    const chunk = Buffer.alloc(256 * 1024)
    let written = 0
    const proxy = await proxyTo(async (_request, response) => {
      const closed = once(response, 'close')
      for (let i = 0; i < 400 && !response.destroyed; i += 1) {
        written += chunk.length
        if (!response.write(chunk)) await Promise.race([once(response, 'drain'), closed])
      }
      response.end()
    })
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1', () =>
      socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
    )
    socket.pause()
    await new Promise((resolve) => setTimeout(resolve, 300))
    // Bounded by the buffers of three sockets, far less than the 100 MB available.
    expect(written).toBeLessThan(40 * 1024 * 1024)
    socket.destroy()
  })

  it('ends the upstream call if the client disconnects, without reporting a failure', async () => {
    let closed = false
    const proxy = await proxyTo((_request, response) => {
      response.write('begun')
      response.on('close', () => {
        closed = true
      })
    })
    const { request, answer } = open(proxy.url)
    request.end()
    await answer
    request.destroy()
    await until(() => closed)
    expect(proxy.outcomes).toHaveLength(1)
    expect(proxy.outcomes[0]).not.toHaveProperty('failure')
  })

  it('reports no failure if the client disconnects in the middle of its body', async () => {
    const proxy = await proxyTo((request) => void request.resume())
    const { request } = open(proxy.url, { method: 'POST', headers: { 'content-length': '1000' } })
    request.on('error', () => {})
    request.write('part')
    await new Promise((resolve) => setTimeout(resolve, 50))
    request.destroy()
    await until(() => proxy.outcomes.length === 1)
    expect(proxy.outcomes[0]).not.toHaveProperty('failure')
  })

  it('answers a HEAD, a 204 and a 304 without a body', async () => {
    const proxy = await proxyTo((request, response) => {
      if (request.url === '/') response.setHeader('content-length', '5')
      response.writeHead(request.url === '/' ? 200 : Number(request.url?.slice(1))).end()
    })
    const head = await fetch(proxy.url, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '5'])
    for (const status of [204, 304]) expect((await fetch(`${proxy.url}/${status}`)).status).toBe(status)
  })

  it('ignores an interim response and waits for the final one', async () => {
    const proxy = await proxyTo((_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.end('final')
    })
    expect(await (await fetch(proxy.url)).text()).toBe('final')
  })

  it('answers 502 if the upstream is unreachable, and 504 if it does not respond', async () => {
    const gone = await listen(createServer())
    await closing.pop()?.()
    const nobody = await startProxy({ upstreams: [gone] })
    const refused = await fetch(nobody.url)
    expect([refused.status, await refused.text()]).toEqual([502, 'peer_unreachable'])
    const silent = await proxyTo(() => {})
    const late = await fetch(silent.url)
    expect([late.status, await late.text()]).toEqual([504, 'peer_timeout'])
  })

  it('answers 400 for a request that cannot be forwarded, and does not try another upstream', async () => {
    const { url, outcomes } = await proxyTo((_request, response) => response.end(), {
      retry: () => {
        throw new Error('The upstream has not failed.')
      },
    })
    const { request, answer: coming } = open(url, { method: 'OPTIONS', path: '*' })
    request.end()
    const answer = await coming
    expect([answer.statusCode, await textOf(answer)]).toEqual([400, 'request_not_forwardable'])
    expect(outcomes[0]?.failure).toMatchObject({
      status: 400,
      message: 'The request cannot be forwarded: its target, its method or a header is not valid.',
    })
  })

  it('lets the client detect an incomplete response', async () => {
    const proxy = await proxyTo((_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('part')
      setTimeout(() => response.destroy(), 30)
    })
    const answer = await fetch(proxy.url)
    await expect(answer.text()).rejects.toThrow()
    expect(proxy.outcomes[0]?.failure).toMatchObject({ status: 502 })
  })

  it('calls refuseLate before the request is written, and does not send it if rejected', async () => {
    let reached = false
    const proxy = await proxyTo(
      (_request, response) => {
        reached = true
        response.end()
      },
      { refuseLate: () => new HttpError(503, 'too_late', 'too late') },
    )
    const answer = await fetch(proxy.url)
    expect([answer.status, await answer.text()]).toEqual([503, 'too_late'])
    expect(reached).toBe(false)
  })
})

describe('forward with a second upstream', () => {
  const echo: RequestListener = async (request, response) =>
    response.end(`${request.method} ${await textOf(request)}`)

  it('retries an idempotent request if the connection breaks', async () => {
    const bad = await breaking()
    const proxy = await startProxy({ upstreams: [bad.url, await listen(createServer(echo))] })
    const answer = await fetch(proxy.url)
    expect([answer.status, await answer.text()]).toEqual([200, 'GET '])
    expect(bad.broken()).toBe(1)
    expect(proxy.outcomes[0]?.upstreams.split(', ')).toHaveLength(2)
  })

  it('does not retry a POST that may have arrived (RFC 9110 §9.2.2)', async () => {
    const bad = await breaking()
    const proxy = await startProxy({ upstreams: [bad.url, await listen(createServer(echo))] })
    for (const body of ['x', undefined]) {
      const answer = await fetch(proxy.url, { method: 'POST', ...(body ? { body } : {}) })
      expect(answer.status).toBe(502)
    }
    expect(bad.broken()).toBe(2)
  })

  it('sends a POST with its whole body to the next upstream if the first is unreachable', async () => {
    const gone = await listen(createServer())
    await closing.pop()?.()
    const proxy = await startProxy({ upstreams: [gone, await listen(createServer(echo))] })
    const answer = await fetch(proxy.url, { method: 'POST', body: 'b'.repeat(100_000) })
    expect(answer.status).toBe(200)
    expect((await answer.text()).length).toBe(100_005)
  })

  it('sends a POST to the next upstream if connecting to the first times out', async () => {
    const hanging = new Upstream({
      name: 'hanging',
      url: 'http://127.0.0.1:1',
      connectTimeoutMs: 500,
      connect: (_target, callback) => callback(new errors.ConnectTimeoutError(), null),
    })
    const next = new Upstream({ name: 'api', url: await listen(createServer(echo)) })
    closing.push(() => Promise.all([hanging.close(), next.close()]))
    const failures: string[] = []
    const server = createServer((request, response) =>
      forward(request, response, {
        upstream: hanging,
        headers: requestHeaders(request, new Set()),
        deadline: undefined,
        retry: ({ error, unsent }) => {
          failures.push(`${error.status} ${error.code} ${error.message} ${unsent}`)
          return next
        },
        onFailure: ({ status }) => response.writeHead(status).end(),
        onEnd: () => {},
      }),
    )
    const answer = await fetch(await listen(server), { method: 'POST', body: 'once' })
    expect([answer.status, await answer.text()]).toEqual([200, 'POST once'])
    expect(failures).toEqual([
      '504 peer_timeout hanging at http://127.0.0.1:1 did not answer within 500 ms. true',
    ])
  })

  it('does not retry after a timeout, because the next upstream would take as long', async () => {
    const silent = await listen(createServer(() => {}))
    const proxy = await startProxy({ upstreams: [silent, await listen(createServer(echo))] })
    expect((await fetch(proxy.url)).status).toBe(504)
  })
})

describe('two readers of one request', () => {
  /** Sends raw bytes and returns the response. */
  function raw(url: string, bytes: string): Promise<string> {
    return new Promise((resolve) => {
      let text = ''
      const socket: Socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes))
      socket.setTimeout(1_000, () => socket.destroy())
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
      })
      socket.on('close', () => resolve(text))
      socket.on('error', () => {})
    })
  }

  it.each([
    [
      'both a length and chunks',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n',
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!'],
    [
      'chunks that are not the last coding',
      'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n',
    ],
    [
      'a space before the colon',
      'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('cannot disagree on where it ends: %s is rejected', async (_what, bytes) => {
    const urls: (string | undefined)[] = []
    const proxy = await proxyTo((request, response) => {
      urls.push(request.url)
      response.end()
    })
    expect(await raw(proxy.url, bytes)).toMatch(/^HTTP\/1\.1 400 /)
    expect(urls).not.toContain('/smuggled')
  })
})

async function until(ask: () => boolean): Promise<void> {
  const deadline = performance.now() + 3_000
  while (!ask()) {
    if (performance.now() > deadline) throw new Error('The condition was not met within 3 s.')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
