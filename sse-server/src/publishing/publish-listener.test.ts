import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import tls from 'node:tls'
import { type DevelopmentCertificates, ensureDevelopmentCertificates } from '@hallpass/certificates'
import { silentLog } from '@hallpass/service-kit'
import { ManualClock, useService } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { openStream, sendTcp } from '../testing/stream-reader.ts'

const ISSUER = 'https://auth.example.com'
const AUDIENCE = 'sse-server'
const free = { HTTP_PORT: '0', TCP_PORT: '0' }

describe('publishing with a token', () => {
  const clock = new ManualClock()
  let folder: string
  let key: SigningKey

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-publish-'))
    key = await generateSigningKey('ES256')
    await writeFile(join(folder, 'jwks.json'), JSON.stringify(publicJwks([key])))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const server = useService(() =>
    createApp(
      loadConfig({
        ...free,
        PUBLISHERS: 'token',
        ISSUER,
        AUDIENCE,
        JWKS_FILE: join(folder, 'jwks.json'),
      }),
      silentLog,
      clock.now,
    ),
  )

  const token = (claims: Record<string, unknown> = {}, lifetimeSeconds = 60) =>
    signToken({ iss: ISSUER, aud: AUDIENCE, sub: 'p', scope: 'publish', ...claims }, key, {
      lifetimeSeconds,
      clock: clock.now,
    })
  const authorization = async (...args: Parameters<typeof token>) =>
    JSON.stringify({ authorization: `Bearer ${await token(...args)}` })
  const refusals = (answer: string) =>
    answer
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line).error)

  it('accepts objects after a valid token, even in the same packet', async () => {
    const reader = await openStream(server.url())
    expect(await sendTcp(server.url('tcp'), `${await authorization()}{"data":"1"}{"data":"2"}`)).toBe('')
    await reader.until(({ events }) => events.length === 2)
    reader.close()
  })

  it('rejects an object without a token and closes the connection', async () => {
    expect(refusals(await sendTcp(server.url('tcp'), '{"data":"1"}{"data":"2"}'))).toEqual([
      {
        code: 'no_token',
        message: 'Publishing requires a token. Send {"authorization": "Bearer …"} first.',
      },
    ])
  })

  it.each([
    ['of another audience', { aud: 'other' }, 'invalid_token', 'jwt audience invalid. expected: sse-server'],
    [
      'of another issuer',
      { iss: 'https://other' },
      'invalid_token',
      `jwt issuer invalid. expected: ${ISSUER}`,
    ],
    [
      'without the scope',
      { scope: 'proxy:stream' },
      'insufficient_scope',
      'The token needs the scope publish.',
    ],
  ])('rejects a token %s', async (_what, claims, code, message) => {
    const answer = await sendTcp(server.url('tcp'), `${await authorization(claims)}{"data":"1"}`)
    expect(refusals(answer)).toEqual([{ code, message }])
  })

  it('rejects an authorization that is not a bearer token', async () => {
    const answer = await sendTcp(server.url('tcp'), '{"authorization":"Basic eA=="}')
    expect(refusals(answer)).toEqual([
      { code: 'no_token', message: 'authorization must be "Bearer <token>".' },
    ])
  })

  it('rejects publications after the token expires, and accepts a new token on the same connection', async () => {
    const socket = net.connect(Number(new URL(server.url('tcp')).port), 'localhost')
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk
    })
    const reader = await openStream(server.url())
    socket.write(`${await authorization()}{"data":"first"}`)
    await reader.until(({ events }) => events.length === 1)
    clock.advance(50_000)
    socket.write(`${await authorization()}`)
    clock.advance(20_000)
    socket.write('{"data":"renewed"}')
    await reader.until(({ events }) => events.length === 2)
    clock.advance(60_000)
    socket.write('{"data":"late"}')
    await new Promise((resolve) => socket.once('close', resolve))
    expect(refusals(answer)).toEqual([
      {
        code: 'token_expired',
        message: 'The token has expired. Send {"authorization": "Bearer …"} with a new token.',
      },
    ])
    expect(reader.data()).toEqual(['first', 'renewed'])
    reader.close()
  })

  it('requires the same token over HTTP', async () => {
    const publish = async (headers: Record<string, string>) =>
      fetch(`${server.url()}/publish`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: '{"data":"x"}',
      })
    const without = await publish({})
    expect([without.status, without.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="sse-server"',
    ])
    const narrow = await publish({ authorization: `Bearer ${await token({ scope: 'other' })}` })
    expect([narrow.status, narrow.headers.get('www-authenticate')]).toEqual([
      403,
      'Bearer realm="sse-server", error="insufficient_scope", scope="publish"',
    ])
    expect((await publish({ authorization: `Bearer ${await token()}` })).status).toBe(202)
  })
})

describe('publishing over TLS', () => {
  let folder: string
  let files: DevelopmentCertificates
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-tls-'))
    files = await ensureDevelopmentCertificates(folder)
  })
  afterAll(() => rm(folder, { recursive: true }))
  const server = useService(() =>
    createApp(loadConfig({ ...free, CERT_FILE: files.certFile, KEY_FILE: files.keyFile }), silentLog),
  )

  it('uses the certificate on the TCP and the HTTP port', async () => {
    const socket = tls.connect({
      host: 'localhost',
      port: Number(new URL(server.url('tcp')).port),
      ca: await readFile(files.caFile),
    })
    const answer = new Promise<string>((resolve, reject) => {
      socket.once('error', reject).on('data', (chunk: Buffer) => resolve(chunk.toString()))
    })
    socket.write('nonsense\n')
    expect(JSON.parse(await answer).error.code).toBe('not_an_object')
    socket.destroy()
    expect(server.url()).toMatch(/^https:/)
  })

  it('closes a connection after ten seconds that does not finish its handshake', async () => {
    const socket = net.connect(Number(new URL(server.url('tcp')).port), 'localhost')
    const startedAt = performance.now()
    socket.on('error', () => {}).resume()
    await new Promise((resolve) => socket.once('close', resolve))
    const seconds = (performance.now() - startedAt) / 1000
    expect(seconds).toBeGreaterThan(9.5)
    // Node closes it after 120 seconds by default.
    expect(seconds).toBeLessThan(100)
  }, 130_000)
})

describe('publisher connections', () => {
  it('S07 are not accepted if the input is standard input', async () => {
    const input = new PassThrough()
    const service = createApp(
      loadConfig({ HTTP_PORT: '0', INPUT: 'stdin' }),
      silentLog,
      Date.now,
      () => input,
    )
    const urls = await service.start()
    expect(Object.keys(urls)).toEqual(['http'])
    const reader = await openStream(urls.http as string)
    input.write('{"data":"a"}\nnonsense\n{"da')
    input.end('ta":"b"}')
    await reader.until(({ events }) => events.length === 2)
    expect(reader.data()).toEqual(['a', 'b'])
    await service.stop()
  })

  it('S06 clear and view are ordinary events by default', async () => {
    const service = createApp(loadConfig(free), silentLog)
    const { http = '', tcp = '' } = await service.start()
    const reader = await openStream(http)
    await sendTcp(tcp, '{"name":"clear"}{"name":"view","data":"v"}')
    await reader.until(({ events }) => events.length === 2)
    expect(reader.events.map(({ event }) => event)).toEqual(['clear', 'view'])
    await service.stop()
  })

  it('S06 clear empties the log and view is sent first to every client, if control names are enabled', async () => {
    const service = createApp(loadConfig({ ...free, CONTROL_NAMES: 'true' }), silentLog)
    const { http = '', tcp = '' } = await service.start()
    const live = await openStream(http)
    await sendTcp(tcp, '{"name":"view","data":"old"}{"name":"view","data":"v"}{"data":"1"}')
    await live.until(({ events }) => events.length === 3)
    const later = await openStream(http, { 'last-event-id': live.events[1]?.id as string })
    await later.until(({ events }) => events.length === 2)
    expect(later.data()).toEqual(['v', '1'])
    await sendTcp(tcp, '{"name":"clear"}{"data":"2"}')
    await live.until(({ events }) => events.length === 4)
    expect(live.events.at(-1)?.data).toBe('2')
    const last = await openStream(http, { 'last-event-id': live.events[1]?.id as string })
    await last.until(({ events }) => events.length === 2)
    expect(last.events.map(({ event, data }) => [event, event === 'gap' ? '' : data])).toEqual([
      ['gap', ''],
      [undefined, '2'],
    ])
    for (const reader of [live, later, last]) reader.close()
    await service.stop()
  })

  it('are closed if they send no token where one is required', async () => {
    const { PublishListener } = await import('./publish-listener.ts')
    const { PublishSession } = await import('./publish-session.ts')
    const refuse = async () => {
      throw new Error('not allowed')
    }
    const listener = new PublishListener({
      host: '127.0.0.1',
      port: 0,
      log: silentLog,
      tls: undefined,
      authorizeDeadlineMs: 20,
      openSession: () => new PublishSession({} as never, refuse, Date.now),
    })
    const socket = net.connect(Number(new URL(await listener.start()).port), 'localhost')
    await new Promise((resolve) => socket.once('close', resolve))
    await listener.stop()
  })
})
