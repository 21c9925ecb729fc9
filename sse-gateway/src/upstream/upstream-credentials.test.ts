import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { TestAuthority } from '@hallpass/callers/testing'
import { silentLog, systemClock } from '@hallpass/service-kit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { FakeTokenEndpoint } from '../testing/fake-token-endpoint.ts'
import { FakeUpstream } from '../testing/fake-upstream.ts'
import { useGateway } from '../testing/gateway.ts'
import { UpstreamCredentials } from './credentials/index.ts'
import { Publisher } from './publisher.ts'
import { UpstreamConnection } from './upstream-connection.ts'

const gateway = useGateway()
const write = async (name: string, text: string) => {
  const file = join(gateway.stateFolder, name)
  await writeFile(file, text, { mode: 0o600 })
  return file
}
const bearer = async () => ({ authorization: `Bearer ${await gateway.token()}` })

const RELOADED = 'credential of the upstream reloaded'
const NOT_RELOADED = 'credential of the upstream could not be reloaded'

/** Starts a gateway whose path has this upstream, written as in the README. */
async function start(upstream: object, env: Readonly<Record<string, string>> = {}, more: object = {}) {
  const issuer = {
    issuer: 'https://auth.example.com',
    audience: 'https://api.example.com',
    jwksFile: join(gateway.stateFolder, 'sse/jwks.json'),
  }
  const rule = { upstream, scopes: ['proxy:stream'], issuers: [issuer], ...more }
  const file = await write('gateway.yaml', JSON.stringify({ paths: { '/events': rule } }))
  await gateway.start({ GATEWAY_CONFIG: file, ...env })
}

const readiness = async () => {
  const { status, json } = await gateway.request('/readyz')
  return [status, json.failed]
}
const sentHeader = (name: string, requests = gateway.upstream.requests) =>
  requests.map(({ headers }) => headers[name])

/** Loses the upstream connection, and waits for the next one. */
async function reconnect() {
  const { length } = gateway.upstream.requests
  gateway.upstream.streams[0]?.destroy()
  await gateway.upstream.until(({ requests, streams }) => requests.length > length && streams.length === 1)
}

describe('headers for an upstream', () => {
  it('are fixed, or from a file that is read again when it changes', async () => {
    const file = await write('api-key.txt', 'secret-1\n')
    await start({
      url: gateway.upstream.url,
      headers: { 'X-Tenant': 'acme' },
      headerFiles: { 'X-Api-Key': 'api-key.txt' },
    })
    await gateway.open(await gateway.token())
    await writeFile(file, 'secret-2')
    await gateway.until(() => gateway.log.includes(RELOADED))
    await reconnect()
    // While the file cannot be read, the last value is used.
    await writeFile(file, 'not a\nheader')
    await gateway.until(() => gateway.log.includes(NOT_RELOADED))
    await reconnect()
    expect([sentHeader('x-tenant'), sentHeader('x-api-key')]).toEqual([
      ['acme', 'acme', 'acme'],
      ['secret-1', 'secret-2', 'secret-2'],
    ])
    expect(gateway.log).not.toMatch(/secret-|not a/)
  })
})

describe('an upstream that asks for a certificate', () => {
  const servers = new TestAuthority('servers')
  const clients = new TestAuthority('clients')
  const upstream = new FakeUpstream({ ...servers.issueServer(), requestCert: true, ca: clients.pem })
  beforeAll(() => upstream.start())
  afterAll(() => upstream.kill())
  afterEach(() => upstream.forget())

  const issue = async (commonName: string) => {
    const { cert, key } = clients.issue({ subject: [['commonName', commonName]] })
    await write('client-key.pem', key)
    await write('client.pem', cert)
  }

  it('gets the one in the files, and a new one for new connections', async () => {
    const seen: unknown[] = []
    upstream.answer = (request, response) => {
      seen.push((request.socket as TLSSocket).getPeerCertificate().subject.CN)
      upstream.stream(request, response)
    }
    await write('servers.pem', servers.pem)
    await issue('first')
    const files = { caFile: 'servers.pem', certFile: 'client.pem', keyFile: 'client-key.pem' }
    await start({ url: upstream.url, ...files })
    await gateway.open(await gateway.token())
    await issue('second')
    await gateway.until(() => gateway.log.includes(RELOADED))
    upstream.streams[0]?.destroy()
    await upstream.until(({ requests }) => requests.length === 2)
    // A certificate without its key yet is not used.
    const failures = () => gateway.log.split(NOT_RELOADED).length
    const before = failures()
    await write('client.pem', clients.issue({ subject: [['commonName', 'third']] }).cert)
    await gateway.until(() => failures() > before)
    upstream.streams[0]?.destroy()
    await upstream.until(({ requests }) => requests.length === 3)
    expect(seen).toEqual(['first', 'second', 'second'])
  })

  it('is not reachable without one', async () => {
    await write('servers.pem', servers.pem)
    await start({ url: upstream.url, caFile: 'servers.pem' })
    const { status, json } = await gateway.request('/events', { headers: await bearer() })
    expect([status, json.error]).toEqual([
      502,
      { code: 'upstream_unreachable', message: 'The upstream is not reachable.' },
    ])
  })
})

describe('an upstream that requires a token', () => {
  let endpoint: FakeTokenEndpoint
  const secret = async () => ({ secretFile: await write('secret.txt', 's: ü%\n') })
  const tokenRule = async () => ({
    url: endpoint.url,
    method: 'client_secret_basic',
    clientId: 'the gateway',
    scope: 'subscribe',
    audience: 'sse-server',
    ...(await secret()),
  })
  const startWithToken = async (env = {}) =>
    start({ url: gateway.upstream.url, token: await tokenRule() }, env)
  beforeAll(async () => {
    endpoint = await new FakeTokenEndpoint().start()
  })
  afterAll(() => endpoint.stop())
  afterEach(() => {
    endpoint.requests.length = 0
    endpoint.issue(3_600)
  })

  it('gets one of the token endpoint, where the gateway authenticates as RFC 6749 says', async () => {
    await startWithToken()
    await gateway.open(await gateway.token())
    await reconnect()
    expect(sentHeader('authorization')).toEqual(['Bearer token-1', 'Bearer token-1'])
    expect(endpoint.requests).toHaveLength(1)
    const [{ headers, form }] = endpoint.requests as [(typeof endpoint.requests)[0]]
    expect(form).toEqual({ grant_type: 'client_credentials', scope: 'subscribe', audience: 'sse-server' })
    const [scheme, credentials = ''] = headers.authorization?.split(' ') ?? []
    expect([scheme, Buffer.from(credentials, 'base64').toString()]).toEqual([
      'Basic',
      'the+gateway:s%3A+%C3%BC%25',
    ])
    expect(gateway.log).not.toContain('token-1')
  })

  it('is connected with the next token before the first one expires; each event arrives once', async () => {
    endpoint.issue(3)
    // Replays as the SSE server does, and cuts a connection when its token expires.
    const log: string[] = []
    const wire = (id: string) => `id:${id}\ndata:${id}\n\n`
    let cut = 0
    gateway.upstream.answer = (request, response) => {
      const last = request.headers['last-event-id']
      gateway.upstream.stream(request, response)
      for (const id of last === undefined ? [] : log.slice(Number(last))) response.write(wire(id))
      const expiry = setTimeout(() => {
        cut += 1
        response.destroy()
      }, 3_000)
      response.once('close', () => clearTimeout(expiry))
    }
    await startWithToken()
    const stream = await gateway.open(await gateway.token())
    const publish = setInterval(() => {
      log.push(`${log.length + 1}`)
      gateway.upstream.send(wire(log.at(-1) as string))
    }, 5)
    await gateway.upstream.until(({ requests }) => requests.length === 3, 20_000)
    clearInterval(publish)
    await stream.until(({ events }) => events.length >= log.length)
    expect(stream.events.map(({ id }) => id)).toEqual(log)
    expect(sentHeader('authorization')).toEqual(['Bearer token-1', 'Bearer token-2', 'Bearer token-3'])
    expect([cut, gateway.log.includes('upstream disconnected')]).toEqual([0, false])
    await gateway.upstream.until(({ streams }) => streams.length === 1)
  }, 30_000)

  it('stays connected while the token endpoint or a new connection fails, and loses nothing', async () => {
    endpoint.issue(2)
    await startWithToken()
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.send('id:1\ndata:1\n\n')
    await stream.until(({ events }) => events.length === 1)
    endpoint.answer = () => ({ status: 503, body: {} })
    await gateway.until(() => endpoint.requests.length > 1)
    gateway.upstream.send('id:2\ndata:2\n\n')
    await stream.until(({ events }) => events.length === 2)
    endpoint.issue(2)
    gateway.upstream.answer = (_request, response) => {
      // While another connection is tried, the events wait.
      gateway.upstream.send(`id:3\ndata:3\n\n`)
      response.writeHead(503).end()
      gateway.upstream.answer = (request, next) => {
        expect(request.headers['last-event-id']).toBe('3')
        gateway.upstream.stream(request, next)
      }
    }
    await gateway.upstream.until(({ requests }) => requests.length === 3)
    gateway.upstream.send('id:4\ndata:4\n\n')
    await stream.until(({ events }) => events.length === 4)
    expect(stream.seen).toEqual(['1', '2', '3', '4'])
    expect(gateway.log).toContain('upstream token could not be renewed')
  }, 20_000)

  it('gets it with publications, too', async () => {
    const url = gateway.upstream.url.replace('/events', '/publish')
    const rule = { url: gateway.upstream.url, token: await tokenRule(), headers: { 'X-Tenant': 'acme' } }
    await start(rule, {}, { topics: {}, publish: { url } })
    const publish = async () => {
      const claims = { sse: { publish: ['*'] } }
      const { status, json } = await gateway.request('/publish', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await gateway.token(claims)}`,
          'content-type': 'application/json',
        },
        body: '{"topic":"a","data":1}',
      })
      return [status, json.id ?? json.error]
    }
    gateway.upstream.answer = (_request, response) => response.writeHead(202).end('{"id":"1"}')
    expect(await publish()).toEqual([202, '1'])
    expect([sentHeader('authorization'), sentHeader('x-tenant')]).toEqual([['Bearer token-1'], ['acme']])
    gateway.upstream.answer = (_request, response) => response.writeHead(401).end('{}')
    const message = 'The SSE server did not accept the publication: it answered 401.'
    expect(await publish()).toEqual([502, { code: 'publish_refused', message }])
    endpoint.answer = () => ({ status: 500, body: {} })
    await gateway.stop()
    await start(rule, {}, { topics: {}, publish: { url } })
    expect(await publish()).toEqual([
      502,
      {
        code: 'upstream_token_unavailable',
        message: 'The gateway has no token for the upstream: the token endpoint answered 500.',
      },
    ])
  })

  it('but sends no IDs keeps its connection, because nothing could be resumed', async () => {
    endpoint.issue(1)
    await startWithToken()
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.send('data:1\n\n')
    await gateway.until(() => gateway.log.includes('upstream connected'))
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    gateway.upstream.send('data:2\n\n')
    await stream.until(({ events }) => events.length === 2)
    expect([stream.seen, gateway.upstream.requests.length]).toEqual([['1', '2'], 1])
  })

  it('and rejects it is 502 with the reason, also in the readiness; no loop requests tokens', async () => {
    gateway.upstream.answer = (_request, response) =>
      response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
    await startWithToken()
    const message = 'The upstream answered 401: it does not accept the credentials of this gateway.'
    for (let count = 0; count < 3; count += 1) {
      const { status, json } = await gateway.request('/events', { headers: await bearer() })
      expect([status, json.error]).toEqual([502, { code: 'upstream_unauthorized', message }])
    }
    expect([endpoint.requests.length, gateway.upstream.requests.length]).toEqual([1, 3])
    expect(await readiness()).toEqual([503, { 'upstream of /events': message }])
    expect(gateway.log).toContain('upstream rejects the gateway')
    expect(gateway.log).toContain('WWW-Authenticate: Bearer error=\\"invalid_token\\"')
    // When it accepts the gateway, the gateway is ready, after the connection has proved itself.
    gateway.upstream.answer = (request, response) => gateway.upstream.stream(request, response)
    await gateway.open(await gateway.token())
    await gateway.until(async () => (await readiness())[0] === 200, 10_000)
  }, 20_000)

  it('and rejects it later: streams end with a reason after the grace period, and the readiness names it', async () => {
    await startWithToken({ UPSTREAM_GRACE_SECONDS: '1' })
    const stream = await gateway.open(await gateway.token())
    gateway.upstream.answer = (_request, response) => response.writeHead(403).end()
    gateway.upstream.streams[0]?.destroy()
    await stream.end()
    expect(stream.seen).toEqual(['end:{"reason":"upstream_failed"}'])
    const message = 'The upstream answered 403: it does not accept the credentials of this gateway.'
    expect(await readiness()).toEqual([503, { 'upstream of /events': message }])
  })

  it.each([
    [
      401,
      { error: 'invalid_client', error_description: 's: ü%' },
      'the token endpoint answered 401 invalid_client.',
    ],
    [500, 'no JSON', 'the token endpoint answered 500.'],
    [200, { token_type: 'Bearer' }, 'the answer of the token endpoint has no access_token.'],
    [
      200,
      { access_token: 'a b', token_type: 'Bearer' },
      'the answer of the token endpoint has no access_token.',
    ],
    [
      200,
      { access_token: 'bound', token_type: 'DPoP' },
      'the answer of the token endpoint has no token of the type Bearer.',
    ],
  ])(
    'that cannot be had (%d %j) is 502 with the reason, also in the readiness',
    async (status, body, reason) => {
      endpoint.answer = () => ({ status, body })
      await startWithToken()
      const message = `The gateway has no token for the upstream: ${reason}`
      const answer = await gateway.request('/events', { headers: await bearer() })
      expect([answer.status, answer.json.error]).toEqual([
        502,
        { code: 'upstream_token_unavailable', message },
      ])
      expect(await readiness()).toEqual([503, { 'upstream of /events': message }])
      expect(gateway.log).not.toContain('ü%')
    },
  )

  it('that cannot be had because the secret is not private is 502; only the log names the file', async () => {
    await startWithToken()
    await writeFile(join(gateway.stateFolder, 'secret.txt'), '')
    await chmod(join(gateway.stateFolder, 'secret.txt'), 0o644)
    const { status, json } = await gateway.request('/events', { headers: await bearer() })
    expect([status, json.error]).toEqual([
      502,
      {
        code: 'upstream_token_unavailable',
        message: 'The gateway has no token for the upstream: its own credential cannot be read.',
      },
    ])
    expect(gateway.log).toContain('secret.txt: other users have access to it')
    await chmod(join(gateway.stateFolder, 'secret.txt'), 0o600)
  })
})

describe('a token that was revoked before its expiry', () => {
  let endpoint: FakeTokenEndpoint
  const upstream = new FakeUpstream()
  beforeAll(async () => {
    endpoint = await new FakeTokenEndpoint().start()
    await upstream.start()
  })
  afterAll(() => Promise.all([endpoint.stop(), upstream.kill()]))

  let now: number
  let credentials: UpstreamCredentials
  beforeEach(async () => {
    now = 0
    endpoint.requests.length = 0
    const secretFile = await write('secret.txt', 'secret')
    const token = {
      url: endpoint.url,
      method: 'client_secret_basic',
      clientId: 'gateway',
      secretFile,
    } as const
    credentials = await UpstreamCredentials.load(
      { token },
      { path: '/events', log: silentLog, clock: systemClock, timeoutMs: 4_000, now: () => now },
    )
  })
  afterEach(() => {
    credentials.stop()
    upstream.forget()
  })

  it('is replaced once after a 401; if the next one is rejected, too, the connection fails', async () => {
    const target = {
      url: upstream.url,
      credentials,
      timeoutMs: 4_000,
      maxEventBytes: 1_000,
      stuckMs: 30_000,
      onSkipped: () => {},
    }
    const open = async () => {
      const connection = await UpstreamConnection.open(target, undefined, {
        onEvent: () => {},
        onOver: () => {},
      })
      connection.close()
    }
    let accepted = 'Bearer token-1'
    upstream.answer = (request, response) =>
      request.headers.authorization === accepted
        ? upstream.stream(request, response)
        : response.writeHead(401).end()
    await open()
    now += 10_000
    accepted = 'Bearer token-2'
    await Promise.all([open(), open()])
    expect(endpoint.requests).toHaveLength(2)
    now += 10_000
    accepted = 'nothing'
    await expect(open()).rejects.toMatchObject({ status: 502, code: 'upstream_unauthorized' })
    expect([endpoint.requests.length, sentHeader('authorization', upstream.requests)]).toEqual([
      3,
      [
        ...['Bearer token-1'],
        ...['Bearer token-1', 'Bearer token-1', 'Bearer token-2', 'Bearer token-2'],
        ...['Bearer token-2', 'Bearer token-3'],
      ],
    ])
  })

  it('is replaced once after a publication is rejected; if the next one is, too, that fails', async () => {
    const publisher = new Publisher({
      url: upstream.url.replace('/events', '/publish'),
      credentials,
      timeoutMs: 4_000,
    })
    let accepted = 'Bearer token-1'
    upstream.answer = (request, response) =>
      response.writeHead(request.headers.authorization === accepted ? 202 : 403).end('{"id":"1"}')
    expect(await publisher.publish('{}')).toEqual({ id: '1' })
    now += 10_000
    accepted = 'Bearer token-2'
    expect(await publisher.publish('{}')).toEqual({ id: '1' })
    now += 10_000
    accepted = 'nothing'
    await expect(publisher.publish('{}')).rejects.toMatchObject({ status: 502, code: 'publish_refused' })
    expect([endpoint.requests.length, sentHeader('authorization', upstream.requests)]).toEqual([
      3,
      ['Bearer token-1', 'Bearer token-1', 'Bearer token-2', 'Bearer token-2', 'Bearer token-3'],
    ])
  })
})
