import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp as createBackend, loadConfig as loadBackend } from '@hallpass/backend-api/app'
import { clientSecret, startOpenidProvider, TestCallers } from '@hallpass/callers/testing'
import { createApp as createFactory, loadConfig as loadFactory } from '@hallpass/jwt-factory/app'
import { type Environment, silentLog } from '@hallpass/service-kit'
import { ManualClock, useService } from '@hallpass/service-kit/testing'
import { createApp as createGateway, loadConfig as loadGateway } from '@hallpass/sse-gateway/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'

const AUDIENCE = 'https://api.example.com'
/** Longer than the backend uses an answer. */
const CACHE_MS = 10_000

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'introspection-endpoints-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Posts a form and returns the body of the answer. */
async function post(url: string, form: Record<string, string>, authorization?: string) {
  const headers = authorization === undefined ? {} : { authorization }
  const answer = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(form) })
  const text = await answer.text()
  expect([answer.status, text]).toEqual([200, text])
  return text
}

/** Sends a token to the backend and returns the status, and the message of an error. */
async function send(backend: { url(): string }, token: string) {
  const answer = await fetch(`${backend.url()}/data`, { headers: { authorization: `Bearer ${token}` } })
  const { error } = (await answer.json()) as { error?: { message: string } }
  return error === undefined ? answer.status : [answer.status, error.message]
}

const INACTIVE = [401, 'the issuer says that the token is not active']

describe('a backend that asks jwt-factory', () => {
  const callers = new TestCallers({
    batch: { keyId: 'batch' },
    backend: { keyId: 'backend-api' },
    stranger: { keyId: 'stranger' },
    operator: { admin: true },
  })
  const clock = new ManualClock(Date.now())
  const FACTORY = 'https://jwt-factory/'
  const factory = useService(async () => {
    const env = { PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: folder, ...(await callers.prepare(folder)) }
    return createFactory(loadFactory(env), silentLog, clock.now)
  })
  const asClient = (clientId: 'backend' | 'stranger') =>
    useService(() => {
      const env = {
        PORT: '0',
        ISSUER: FACTORY,
        AUDIENCE: 'backend-api',
        TOKEN_VALIDATION: 'introspection',
        INTROSPECTION_URL: `${factory.url()}/introspect`,
        INTROSPECTION_CLIENT_ID: clientId,
        CALLER_KEY_FILE: callers.keyFile(clientId),
      }
      return createBackend(loadBackend(env), silentLog, clock.now)
    })
  const backend = asClient('backend')
  const elsewhere = asClient('stranger')

  beforeAll(async () => {
    const answer = await fetch(`${factory.url()}/keys/batch`, {
      headers: { authorization: await callers.as('operator', FACTORY) },
    })
    expect(answer.status).toBe(200)
  })
  const issue = async (aud = 'backend-api') => {
    const answer = await fetch(`${factory.url()}/issueToken/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: await callers.as('batch', FACTORY) },
      body: JSON.stringify({ aud }),
    })
    expect(answer.status).toBe(200)
    return answer.text()
  }

  it('accepts its tokens with private_key_jwt, until they are revoked', async () => {
    const token = await issue()
    expect(await send(backend, token)).toBe(200)
    await post(`${factory.url()}/revoke`, { token }, await callers.as('batch', FACTORY))
    clock.advance(CACHE_MS)
    expect(await send(backend, token)).toEqual(INACTIVE)
  })

  it('refuses tokens for others, and what is no token; a service that is not their audience learns nothing', async () => {
    expect(await send(backend, await issue('another'))).toEqual(INACTIVE)
    expect(await send(backend, 'no-token')).toEqual(INACTIVE)
    expect(await send(elsewhere, await issue())).toEqual(INACTIVE)
  })
})

describe('a gateway that asks jwt-factory', () => {
  const callers = new TestCallers({
    batch: { keyId: 'batch', scopes: ['proxy:stream'] },
    gateway: { keyId: 'sse-gateway' },
    operator: { admin: true },
  })
  const clock = new ManualClock(Date.now())
  const FACTORY = 'https://jwt-factory/'
  const factory = useService(async () => {
    const own = join(folder, 'of-gateway')
    await mkdir(own, { mode: 0o700 })
    const env = { PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: own, ...(await callers.prepare(own)) }
    return createFactory(loadFactory(env), silentLog, clock.now)
  })
  const events = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
  const gateway = useService(async () => {
    await new Promise<void>((resolve) => events.listen(0, '127.0.0.1', resolve))
    const env = {
      PORT: '0',
      SECOND_PORT: '0',
      STATE_FOLDER: join(folder, 'gateway'),
      UPSTREAM_URL: `http://127.0.0.1:${(events.address() as AddressInfo).port}/`,
      ISSUER: FACTORY,
      AUDIENCE: 'sse-gateway',
      TOKEN_USE: 'any',
      INTROSPECTION_URL: `${factory.url()}/introspect`,
      INTROSPECTION_CLIENT_ID: 'gateway',
      CALLER_KEY_FILE: callers.keyFile('gateway'),
    }
    return createGateway(loadGateway(env), silentLog, clock.now)
  })
  afterAll(() => {
    events.closeAllConnections()
    events.close()
  })

  it('closes a stream when jwt-factory revokes its token', async () => {
    const { answer } = await connect()
    const created = await fetch(`${factory.url()}/keys/batch`, {
      headers: { authorization: await callers.as('operator', FACTORY) },
    })
    expect(created.status).toBe(200)
    const issued = await fetch(`${factory.url()}/issueToken/batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: await callers.as('batch', FACTORY) },
      body: JSON.stringify({ aud: 'sse-gateway', scope: 'proxy:stream' }),
    })
    expect(issued.status).toBe(200)
    const token = await issued.text()
    const stream = await answer('/events', token)
    expect(stream.status).toBe(200)
    await post(`${factory.url()}/revoke`, { token }, await callers.as('batch', FACTORY))
    const ended = new Promise<string>((resolve) => {
      let text = ''
      stream.body.on('data', (chunk: Buffer) => {
        text += chunk
      })
      stream.body.once('close', () => resolve(text))
    })
    const advancing = setInterval(() => clock.advance(1_000), 10)
    try {
      expect(await ended).toContain('{"reason":"token_revoked"}')
    } finally {
      clearInterval(advancing)
    }
    expect((await answer('/events', token)).status).toBe(401)
  })

  async function connect() {
    const ca = await readFile(join(folder, 'gateway/certificates/test-ca.crt'), 'utf8')
    return {
      answer: (path: string, token: string) =>
        new Promise<{ status: number | undefined; body: IncomingMessage }>((resolve, reject) => {
          const headers = { authorization: `Bearer ${token}` }
          get(`${gateway.url('https')}${path}`, { ca, headers, agent: false }, (body) =>
            resolve({ status: body.statusCode, body }),
          ).on('error', reject)
        }),
    }
  }
})

describe('a backend that asks oidc-provider', () => {
  let provider: Awaited<ReturnType<typeof startOpenidProvider>>
  beforeAll(async () => {
    provider = await startOpenidProvider({
      scope: 'read:data',
      clients: ['batch', 'backend'],
      formatFor: (audience) => (audience.endsWith('/jwt') ? 'jwt' : 'opaque'),
      features: {
        introspection: { enabled: true, allowedPolicy: (_context, client) => client.clientId === 'backend' },
        revocation: {
          enabled: true,
          allowedPolicy: (_context, client, token) => token.clientId === client.clientId,
        },
      },
    })
  })
  afterAll(() => provider.stop())

  const clock = new ManualClock(Date.now())
  const withSecret = (name: string, secret: string, more: Environment = {}) =>
    useService(async () => {
      const file = join(folder, name)
      await writeFile(file, `${secret}\n`, { mode: 0o600 })
      const env = {
        PORT: '0',
        ISSUER: provider.issuer,
        AUDIENCE,
        TOKEN_VALIDATION: 'introspection',
        INTROSPECTION_CLIENT_ID: 'backend',
        INTROSPECTION_CLIENT_SECRET_FILE: file,
        ...more,
      }
      return createBackend(loadBackend(env), silentLog, clock.now)
    })
  const backend = withSecret('secret', clientSecret('backend'), { REQUIRED_SCOPES: 'read:data' })
  const asStranger = withSecret('wrong-secret', 'wrong')

  const basic = (client: string) =>
    `Basic ${Buffer.from(`${client}:${encodeURIComponent(clientSecret(client))}`).toString('base64')}`
  const issue = async (resource = AUDIENCE, scope = 'read:data') => {
    const form = { grant_type: 'client_credentials', resource, ...(scope ? { scope } : {}) }
    const answer = await post(`${provider.issuer}/token`, form, basic('batch'))
    return (JSON.parse(answer) as { access_token: string }).access_token
  }

  it('accepts its opaque tokens with a client secret, until they are revoked', async () => {
    const token = await issue()
    expect(token).toMatch(/^[\w-]+$/)
    expect(await send(backend, token)).toBe(200)
    await post(`${provider.issuer}/token/revocation`, { token }, basic('batch'))
    clock.advance(CACHE_MS)
    expect(await send(backend, token)).toEqual(INACTIVE)
  })

  it('refuses tokens without the scope or for others, and what is no token', async () => {
    expect(await send(backend, await issue(AUDIENCE, ''))).toEqual([403, expect.any(String)])
    expect(await send(backend, await issue('https://other.example'))).toEqual([
      401,
      `token audience invalid. expected: ${AUDIENCE}`,
    ])
    expect(await send(backend, 'no-token')).toEqual(INACTIVE)
  })

  it('refuses a JWT, which oidc-provider does not introspect', async () => {
    expect(await send(backend, await issue(`${AUDIENCE}/jwt`))).toEqual(INACTIVE)
  })

  it('blames itself if its secret is wrong', async () => {
    expect(await send(asStranger, await issue())).toEqual([
      502,
      expect.stringContaining("it rejects this service's own credentials, not the token"),
    ])
  })
})
