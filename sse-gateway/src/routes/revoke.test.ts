import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

const admin = () => gateway.token({ sub: 'operator', scope: 'stream:revoke' })
const jtiOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti

async function revoke(body: unknown, token?: string) {
  return gateway.request('/revocations', {
    method: 'POST',
    headers: { authorization: `Bearer ${token ?? (await admin())}` },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

describe('POST /revocations', () => {
  it.each([
    ['jti', async (token: string) => ({ jti: jtiOf(token) })],
    ['sub', async () => ({ sub: 'alice' })],
    ['session', async () => ({ session: 'login-1' })],
  ])(
    'AL-40: closes the open streams of a revoked %s within a second, and opens no new ones',
    async (_kind, body) => {
      const token = await gateway.token({ sub: 'alice', sid: 'login-1' })
      const streams = [await gateway.open(token), await gateway.open(token, 'http/1.1')]
      const others = await gateway.open(await gateway.token({ sub: 'bob', sid: 'login-2' }))
      const started = Date.now()
      expect((await revoke(await body(token))).status).toBe(204)
      for (const stream of streams) {
        await stream.end()
        expect([stream.ended, stream.seen]).toEqual(['cleanly', ['end:{"reason":"token_revoked"}']])
      }
      expect(Date.now() - started).toBeLessThan(1_000)
      const again = await gateway.request('/events', { headers: { authorization: `Bearer ${token}` } })
      expect([again.status, again.json]).toEqual([
        401,
        { error: { code: 'invalid_token', message: 'token revoked' } },
      ])
      expect(others.ended).toBe('no')
    },
  )

  it('opens no stream whose token is revoked while the upstream connects', async () => {
    let answer = () => {}
    gateway.upstream.answer = (request, response) => {
      answer = () => gateway.upstream.stream(request, response)
    }
    const token = await gateway.token({ sub: 'alice' })
    const asked = gateway.request('/events', { headers: { authorization: `Bearer ${token}` } })
    await gateway.upstream.until(({ requests }) => requests.length === 1)
    await revoke({ sub: 'alice' })
    answer()
    const refused = await asked
    expect([refused.status, refused.json]).toEqual([
      401,
      { error: { code: 'invalid_token', message: 'token revoked' } },
    ])
  })

  it('extends no stream with a revoked token', async () => {
    const connection = await gateway.connect()
    const authorization = async (token: string) => ({ authorization: `Bearer ${token}` })
    await connection.request('/events', { headers: await authorization(await gateway.token()) })
    const fresh = await gateway.token()
    await revoke({ jti: jtiOf(fresh) })
    const answer = await connection.request('/events', {
      method: 'POST',
      headers: { ...(await authorization(fresh)), 'content-type': 'application/x-challenge-response' },
    })
    expect([answer.status, answer.json]).toEqual([
      401,
      { error: { code: 'invalid_token', message: 'token revoked' } },
    ])
  })

  it('requires an administrator’s scope', async () => {
    const answer = await revoke({ sub: 'alice' }, await gateway.token())
    expect([answer.status, answer.json]).toEqual([
      403,
      { error: { code: 'insufficient_scope', message: 'Revoking requires the scope stream:revoke.' } },
    ])
    expect(answer.headers['www-authenticate']).toContain('scope="stream:revoke"')
    expect((await gateway.request('/revocations', { method: 'POST', body: '{"sub":"alice"}' })).status).toBe(
      401,
    )
  })

  it('closes a stream of the subject although its token’s `iat` is later, because the issuer’s clock is ahead', async () => {
    gateway.clock.advance(2_000)
    const token = await gateway.token({ sub: 'alice' })
    gateway.clock.advance(-2_000)
    const stream = await gateway.open(token)
    expect((await revoke({ sub: 'alice' })).status).toBe(204)
    await stream.end()
    expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
    expect((await gateway.request('/events', { headers: { authorization: `Bearer ${token}` } })).status).toBe(
      401,
    )
  })

  it('allows a token to revoke itself, and no other', async () => {
    const [mine, others] = [await gateway.token(), await gateway.token()]
    const stream = await gateway.open(mine)
    expect((await revoke({ jti: jtiOf(others) }, mine)).status).toBe(403)
    expect((await revoke({ jti: jtiOf(mine) }, mine)).status).toBe(204)
    await stream.end()
    expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
  })

  it.each([
    ['', 'malformed_json', 'The body is not valid JSON.'],
    ['{}', 'invalid_revocation', 'The body must be {"jti": …}, {"sub": …} or {"session": …}, with a string.'],
    [
      '{"jti":1}',
      'invalid_revocation',
      'The body must be {"jti": …}, {"sub": …} or {"session": …}, with a string.',
    ],
    [
      '{"jti":"a","sub":"b"}',
      'invalid_revocation',
      'The body must be {"jti": …}, {"sub": …} or {"session": …}, with a string.',
    ],
  ])('rejects the body %s', async (body, code, message) => {
    const answer = await revoke(body)
    expect([answer.status, answer.json]).toEqual([400, { error: { code, message } }])
  })

  it('rejects a body that is too large', async () => {
    const answer = await revoke({ jti: 'x'.repeat(3_000) })
    expect([answer.status, answer.json]).toMatchObject([413, { error: { code: 'body_too_large' } }])
  })
})
