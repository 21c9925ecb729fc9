import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

const json = { 'content-type': 'application/json' }
const ask = (headers: Record<string, string> = json) =>
  gateway.request('/token', { method: 'POST', headers, body: '{}' })

describe('POST /token', () => {
  it('issues a 30-second token that opens a stream', async () => {
    const answer = await ask()
    expect([answer.status, answer.json]).toMatchObject([
      200,
      { token_type: 'Bearer', expires_in: 30, expiresAt: gateway.clock.now() + 30_000 },
    ])
    expect(answer.headers['cache-control']).toBe('no-store')
    const stream = await gateway.open(answer.json.access_token as string)
    gateway.clock.advance(30_000)
    await stream.end()
  })

  it('issues no token to a page of another origin, and sends no CORS headers', async () => {
    const foreign = await ask({ ...json, origin: 'https://evil.example' })
    expect([foreign.status, foreign.json]).toMatchObject([403, { error: { code: 'origin_not_allowed' } }])
    const own = await ask({ ...json, origin: gateway.url })
    expect([own.status, own.headers['access-control-allow-origin']]).toEqual([200, undefined])
  })

  it('requires a content type that a form cannot send', async () => {
    const answer = await ask({ 'content-type': 'text/plain' })
    expect([answer.status, answer.json]).toMatchObject([415, { error: { code: 'wrong_content_type' } }])
  })

  it('issues a token with a shorter lifetime or another audience on request', async () => {
    const request = (body: string) => gateway.request('/token', { method: 'POST', headers: json, body })
    const short = await request('{"expires_in":4,"audience":"https://elsewhere"}')
    expect(short.json).toMatchObject({ expires_in: 4, expiresAt: gateway.clock.now() + 4_000 })
    const refused = await gateway.request('/events', {
      headers: { authorization: `Bearer ${short.json.access_token}` },
    })
    expect(refused.json).toMatchObject({ error: { message: expect.stringContaining('audience invalid') } })
    expect((await request('{"expires_in":3600}')).json).toMatchObject({ expires_in: 30 })
    expect((await request('{"sub":"root"}')).json).toMatchObject({ error: { code: 'invalid_request' } })
  })

  it('exists only in development mode', async () => {
    await gateway.start({ DEVELOPMENT_TOKENS: 'off' })
    expect((await ask()).status).toBe(404)
  })
})
