import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@hallpass/service-kit'
import { ManualClock, useService } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createApp, loadConfig } from '../app.ts'
import { openStream, type StreamReader, sendTcp } from '../testing/stream-reader.ts'

const ISSUER = 'https://auth.example.com'
const AUDIENCE = 'sse-server'
const PATHS = ['/events', '/', '/any/other', '/topics/news', '/events?topic=*', '/publish']

describe('reading with a token', () => {
  let folder: string
  let key: SigningKey
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-readers-'))
    key = await generateSigningKey('ES256')
    await writeFile(join(folder, 'jwks.json'), JSON.stringify(publicJwks([key])))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const config = (env: Record<string, string> = {}) =>
    loadConfig({
      HTTP_PORT: '0',
      TCP_PORT: '0',
      READERS: 'token',
      ISSUER,
      AUDIENCE,
      JWKS_FILE: join(folder, 'jwks.json'),
      ...env,
    })
  const server = useService(() => createApp(config(), silentLog))
  const readers: StreamReader[] = []
  afterEach(() => {
    for (const reader of readers.splice(0)) reader.close()
  })

  const token = (claims: Record<string, unknown> = {}, lifetimeSeconds = 60, clock = Date.now) =>
    signToken({ iss: ISSUER, aud: AUDIENCE, sub: 'gateway', scope: 'subscribe', ...claims }, key, {
      lifetimeSeconds,
      clock,
    })
  const bearer = async (...args: Parameters<typeof token>) => ({
    authorization: `Bearer ${await token(...args)}`,
  })
  async function listen(headers: Record<string, string>, path = '/events', url = server.url()) {
    const reader = await openStream(url + path, headers)
    readers.push(reader)
    return reader
  }
  async function refusal(path: string, headers: Record<string, string> = {}, method = 'GET') {
    const answer = await fetch(server.url() + path, { method, headers })
    const body = method === 'HEAD' ? undefined : ((await answer.json()) as Record<string, unknown>)
    return [answer.status, answer.headers.get('www-authenticate'), body?.message ?? body?.error]
  }

  it.each(PATHS)('requires one on %s', async (path) => {
    const challenge = 'Bearer realm="sse-server"'
    expect(await refusal(path)).toEqual([401, challenge, 'no token provided'])
    expect(await refusal(path, {}, 'HEAD')).toEqual([401, challenge, undefined])
    const reader = await listen(await bearer(), path)
    expect(reader.response.statusCode).toBe(200)
  })

  it('rejects tokens of other issuers and audiences, and without the scope', async () => {
    const invalid = (reason: string) => [
      401,
      `Bearer realm="sse-server", error="invalid_token", error_description="${reason}"`,
      'invalid token',
    ]
    expect(await refusal('/events', await bearer({ iss: 'https://other' }))).toEqual(
      invalid(`jwt issuer invalid. expected: ${ISSUER}`),
    )
    expect(await refusal('/events', await bearer({ aud: 'other' }))).toEqual(
      invalid('jwt audience invalid. expected: sse-server'),
    )
    expect(await refusal('/events', await bearer({ scope: 'publish' }))).toEqual([
      403,
      'Bearer realm="sse-server", error="insufficient_scope", scope="subscribe"',
      { code: 'insufficient_scope', message: 'The token needs the scope subscribe.' },
    ])
  })

  it('does not need one for publishers, the health and the preflight', async () => {
    const reader = await listen(await bearer())
    expect(await sendTcp(server.url('tcp'), '{"data":"1"}')).toBe('')
    const answer = await fetch(`${server.url()}/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"data":"2"}',
    })
    expect(answer.status).toBe(202)
    await reader.until(({ events }) => events.length === 2)
    expect((await fetch(`${server.url()}/readyz`)).status).toBe(200)
    expect((await fetch(`${server.url()}/events`, { method: 'OPTIONS' })).status).toBe(204)
  })

  it('ends the stream when the token expires, and not another one', async () => {
    const other = await listen(await bearer({}, 60))
    const short = await token({}, 2)
    const reader = await listen({ authorization: `Bearer ${short}` })
    await sendTcp(server.url('tcp'), '{"data":"before"}')
    await reader.until(({ ended }) => ended !== 'no')
    const { exp } = JSON.parse(Buffer.from(short.split('.')[1] as string, 'base64url').toString())
    expect(Date.now()).toBeGreaterThanOrEqual(exp * 1_000 - 1)
    expect([reader.ended, reader.events.map(({ event, data }) => [event, data])]).toEqual([
      'cleanly',
      [
        [undefined, 'before'],
        ['end', '{"reason":"token_expired"}'],
      ],
    ])
    await sendTcp(server.url('tcp'), '{"data":"after"}')
    await other.until(({ events }) => events.length === 2)
    expect(reader.data()).not.toContain('after')

    // The client continues with a new token after its last event; the end has no ID.
    const lastEventId = reader.events[1]?.lastEventId as string
    const resumed = await listen({ ...(await bearer()), 'last-event-id': lastEventId })
    await resumed.until(({ events }) => events.length === 1)
    expect(resumed.data()).toEqual(['after'])
  })

  it('opens no stream with a token that has expired within the tolerance of the clocks', async () => {
    const clock = new ManualClock()
    const service = createApp(config(), silentLog, clock.now)
    const { http = '' } = await service.start()
    const headers = await bearer({}, 10, clock.now)
    expect((await listen(headers, '/events', http)).response.statusCode).toBe(200)
    clock.advance(10_000)
    const answer = await fetch(`${http}/events`, { headers })
    expect([answer.status, answer.headers.get('www-authenticate'), await answer.json()]).toEqual([
      401,
      'Bearer realm="sse-server", error="invalid_token", error_description="The token has expired."',
      { error: { code: 'token_expired', message: 'The token has expired.' } },
    ])
    await service.stop()
  })

  it('is needed by publishers or by readers, or by both', async () => {
    const both = createApp(config({ PUBLISHERS: 'token' }), silentLog)
    const publishers = createApp(config({ PUBLISHERS: 'token', READERS: 'open' }), silentLog)
    const [one, other] = [await both.start(), await publishers.start()]
    const status = async (url: string | undefined, init?: RequestInit) => {
      const controller = new AbortController()
      const answer = await fetch(`${url}/publish`, { ...init, signal: controller.signal })
      controller.abort()
      return answer.status
    }
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"data":"x"}' }
    expect(await Promise.all([status(one.http), status(one.http, post)])).toEqual([401, 401])
    expect(await Promise.all([status(other.http), status(other.http, post)])).toEqual([200, 401])
    await Promise.all([both.stop(), publishers.stop()])
  })
})
