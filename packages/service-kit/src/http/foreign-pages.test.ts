import { connect } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { silentLog } from '../observation/log.ts'
import { developmentConfig, useService } from '../testing.ts'
import { foreignPagesGuard } from './foreign-pages.ts'
import { httpService } from './http-service.ts'

const development = foreignPagesGuard('127.0.0.1', developmentConfig)
const codeFor = (host: string | undefined, headers: Readonly<Record<string, string>> = {}, method = 'GET') =>
  development({ method, host, headers })?.code

describe('the host of a request in development mode', () => {
  it.each([
    'localhost:3000',
    'localhost',
    'LOCALHOST:3000',
    'localhost.:3000',
    '127.0.0.1:1',
    '127.8.9.10',
    '[::1]:3000',
    '[::1]',
    undefined,
  ])('accepts %j', (host) => {
    expect(codeFor(host)).toBeUndefined()
  })

  it.each([
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    'localhost.evil.example:3000',
    'evil-localhost',
    'notlocalhost:3000',
    'localhost..:3000',
    '127.0.0.1.evil.example',
    '127.0.0.1.nip.io:3000',
    'localhost:3000@evil.example',
    'evil.example@localhost:3000',
    'user:password@localhost',
    'localhost#evil.example',
    'localhost/evil.example',
    'localhost, evil.example',
    'localhost evil.example',
    'localhost:',
    'localhost:abc',
    'localhost:123456',
    '[::2]:3000',
    '[::1',
    '::1',
    '[::1].evil.example',
    '0.0.0.0:3000',
    '192.168.1.2',
    '2130706433',
    '',
  ])('rejects %j', (host) => {
    expect(codeFor(host)).toBe('foreign_host')
  })

  it('accepts only the names in ALLOWED_HOSTS in addition', () => {
    const guard = foreignPagesGuard('localhost', { production: false, allowedHosts: ['Tunnel.Example'] })
    expect(guard({ method: 'GET', host: 'tunnel.example:443', headers: {} })).toBeUndefined()
    const headers = { origin: 'https://tunnel.example' }
    expect(guard({ method: 'GET', host: 'tunnel.example', headers })).toBeUndefined()
    expect(guard({ method: 'GET', host: 'a.tunnel.example', headers: {} })?.message).toBe(
      'In development, this service accepts only localhost and loopback addresses in the Host header. Add other names to ALLOWED_HOSTS.',
    )
  })

  it.each([
    ['0.0.0.0', false],
    ['10.1.2.3', false],
    ['127.0.0.1', true],
  ])('is not checked if the service listens on %s (production: %s)', (host, production) => {
    const guard = foreignPagesGuard(host, { production, allowedHosts: [] })
    const headers = { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }
    expect(guard({ method: 'POST', host: '10.1.2.3:8080', headers })).toBeUndefined()
  })
})

describe('the origin of a request in development mode', () => {
  const local = 'localhost:3000'

  it.each([
    [{}],
    [{ origin: 'http://localhost:4000' }],
    [{ origin: 'https://127.0.0.1' }],
    [{ origin: 'http://[::1]:4000' }],
    [{ origin: 'http://localhost:4000', 'sec-fetch-site': 'same-site' }],
    [{ 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }],
    [{ origin: 'null', 'sec-fetch-site': 'same-origin' }],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }],
  ])('accepts %j', (headers) => {
    expect(codeFor(local, headers as Record<string, string>)).toBeUndefined()
  })

  it.each([
    [{ origin: 'https://evil.example' }],
    [{ origin: 'http://localhost.evil.example' }],
    [{ origin: 'http://localhost:4000@evil.example' }],
    [{ origin: 'http://evil.example/http://localhost' }],
    [{ origin: 'ftp://localhost' }],
    [{ origin: 'null' }],
    [{ origin: 'null', 'sec-fetch-site': 'cross-site' }],
    [{ origin: '' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }],
  ])('rejects %j', (headers) => {
    expect(codeFor(local, headers as Record<string, string>)).toBe('foreign_origin')
  })

  it('rejects a form from another site', () => {
    const form = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    expect(codeFor(local, form, 'POST')).toBe('foreign_origin')
  })
})

describe('a service in development mode', () => {
  const service = useService(() =>
    httpService({
      name: 'guarded',
      log: silentLog,
      config: developmentConfig,
      listeners: [
        { name: 'http', host: '127.0.0.1', port: 0 },
        {
          name: 'own',
          host: '127.0.0.1',
          port: 0,
          handle: (request, response) => response.end(`own ${request.url}`),
        },
      ],
      routes: (app) => {
        app.get('/express', (request, response) => void response.send(request.headers.host))
      },
      forward: (request, response, next) => {
        if (request.url === '/forwarded') response.end('forwarded')
        else next()
      },
      onUpgrade: (_request, socket) => void socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
    }),
  )

  function send(head: string, listener = 'http'): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = ''
      const socket = connect(Number(new URL(service.url(listener)).port), '127.0.0.1', () =>
        socket.write(`${head}\r\nconnection: close\r\n\r\n`),
      )
      socket.on('data', (chunk) => {
        answer += chunk.toString('latin1')
      })
      socket.on('close', () => resolve(answer)).on('error', reject)
    })
  }

  it.each([
    ['http', '/express'],
    ['http', '/forwarded'],
    ['http', '/healthz'],
    ['http', '/readyz'],
    ['http', '/metrics'],
    ['http', '/nowhere'],
    ['own', '/'],
  ])('guards every listener and path: %s %s', async (listener, path) => {
    expect(await send(`GET ${path} HTTP/1.1\r\nhost: localhost`, listener)).not.toMatch(/^HTTP\/1\.1 40[03] /)
    const refused = await send(`GET ${path} HTTP/1.1\r\nhost: evil.example`, listener)
    expect(refused).toMatch(/^HTTP\/1\.1 403 /)
    expect(refused).toContain('"foreign_host"')
    expect(
      await send(`GET ${path} HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example`, listener),
    ).toContain('"foreign_origin"')
    expect(await send(`GET http://evil.example${path} HTTP/1.1\r\nhost: localhost`, listener)).toContain(
      '"foreign_host"',
    )
    for (const hosts of [
      'host: localhost\r\nhost: evil.example',
      'host: evil.example\r\nHOST: localhost',
      'host: localhost\r\nhost: localhost',
    ]) {
      const twice = await send(`GET ${path} HTTP/1.1\r\n${hosts}`, listener)
      expect(twice).toMatch(/^HTTP\/1\.1 400 /)
      expect(twice).toContain('{"code":"two_hosts","message":"A request must have exactly one Host header."}')
    }
  })

  it.each(['/express', 'http://localhost/express'])(
    'rejects the target %s without a Host field, except over HTTP/1.0',
    async (target) => {
      for (const upgrade of ['', '\r\nupgrade: websocket\r\nconnection: upgrade'])
        expect(await send(`GET ${target} HTTP/1.1\r\nx: y${upgrade}`)).toMatch(
          /^HTTP\/1\.1 400 .*"code":"missing_host","message":"A request must have a Host header\."/s,
        )
      expect(await send(`GET ${target} HTTP/1.0\r\nx: y`)).toMatch(/^HTTP\/1\.1 200 /)
    },
  )

  it('finds a second Host field behind any number of others', async () => {
    const others = 'a:\r\n'.repeat(2_500)
    expect(await send(`GET /express HTTP/1.1\r\nhost: localhost\r\n${others}host: evil.example`)).toContain(
      '"two_hosts"',
    )
  })

  it('guards WebSocket handshakes', async () => {
    const upgrade = 'upgrade: websocket\r\nconnection: upgrade'
    expect(await send(`GET / HTTP/1.1\r\nhost: localhost\r\n${upgrade}`)).toMatch(/^HTTP\/1\.1 101 /)
    for (const [head, code] of [
      ['host: evil.example', 'foreign_host'],
      ['host: localhost\r\norigin: https://evil.example', 'foreign_origin'],
      ['host: localhost\r\nhost: localhost', 'two_hosts'],
    ])
      expect(await send(`GET / HTTP/1.1\r\n${head}\r\n${upgrade}`)).toContain(`"${code}"`)
  })

  it('reads host and path from an absolute target', async () => {
    const target = `http://localhost:1234/express?a=b`
    expect(await send(`GET ${target} HTTP/1.1\r\nhost: localhost`)).toMatch(/localhost:1234$/)
    expect(await send('GET http://localhost?a=b HTTP/1.1\r\nhost: localhost')).toContain('404 Not Found')
    expect(await send(`GET http://localhost:1234 HTTP/1.1\r\nhost: localhost`, 'own')).toMatch(/own \/$/)
    for (const malformed of ['ftp://localhost/', 'http:///express', 'localhost:80', '?a=b'])
      expect(await send(`GET ${malformed} HTTP/1.1\r\nhost: localhost`)).toMatch(/^HTTP\/1\.1 400 /)
    for (const method of ['OPTIONS', 'M-SEARCH'])
      for (const upgrade of ['', '\r\nupgrade: websocket\r\nconnection: upgrade'])
        for (const listener of ['http', 'own'])
          expect(await send(`${method} * HTTP/1.1\r\nhost: localhost${upgrade}`, listener)).toMatch(
            /^HTTP\/1\.1 400 .*"malformed_target","message":"The request target must begin with a slash\."/s,
          )
    expect(await send('GET http://evil@localhost/ HTTP/1.1\r\nhost: localhost')).toContain('"foreign_host"')
  })
})
