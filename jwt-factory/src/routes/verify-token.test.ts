import { type HopEvent, publishHopsTo } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { type SigningKey, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'

describe('POST /verify/:keyId', () => {
  const clock = new ManualClock('2026-01-01T00:00:00Z')
  const factory = useFactory({ clock: clock.now, env: { ALGORITHM: 'RS256' } })
  let stranger: SigningKey
  let token: string
  beforeAll(async () => {
    await factory.get('/keys/servicea')
    await factory.get('/keys/serviceb')
    stranger = testKey('RS256', 'stranger')
    token = await factory.issue('servicea')
  })

  const wanted = { aud: 'serviceb', sub: 'servicea' }
  const verify = (body: object, keyId = 'servicea') => factory.post(`/verify/${keyId}`, body)

  it('returns the claims of a valid token', async () => {
    const { body } = await verify({ token, ...wanted }).expect(200)
    expect(body).toEqual({
      valid: true,
      claims: {
        iss: 'https://jwt-factory/',
        sub: 'servicea',
        aud: 'serviceb',
        exp: 1767229200,
        iat: 1767225600,
        jti: expect.any(String),
      },
    })
  })

  it('returns the documented body when the token has expired', async () => {
    const expired = (await factory.post('/issueToken/servicea?expired=1', { aud: 'serviceb' })).text
    const { text } = await verify({ token: expired, ...wanted }).expect(403)
    expect(text).toBe(
      '{"valid":false,"error":{"name":"TokenExpiredError","message":"jwt expired","expiredAt":"2025-12-31T23:00:00.000Z"},"claims":{}}',
    )
  })

  it('accepts its own fresh token after its clock has been set back by 2 s, and everywhere', async () => {
    const fresh = await factory.issue('servicea')
    clock.advance(-2_000)
    await verify({ token: fresh, ...wanted }).expect(200)
    const introspection = await factory.post('/introspect').type('form').send({ token: fresh }).expect(200)
    expect(introspection.body).toMatchObject({ active: true, sub: 'servicea' })
    await factory.post('/revoke').type('form').send({ token: fresh }).expect(200)
    const { headers } = await verify({ token: fresh, ...wanted }).expect(403)
    expect(headers['refusal-reason']).toBe('revoked')
    clock.advance(2_000)
  })

  it('accepts a token that expired 2 s ago by a clock that is ahead, and still rejects a revoked one', async () => {
    const [old, revoked] = [await factory.issue('servicea'), await factory.issue('servicea')]
    await factory.post('/revoke').type('form').send({ token: revoked }).expect(200)
    clock.advance(3_602_000)
    await verify({ token: old, ...wanted }).expect(200)
    expect((await verify({ token: revoked, ...wanted }).expect(403)).headers['refusal-reason']).toBe(
      'revoked',
    )
    clock.advance(3_000)
    expect((await verify({ token: old, ...wanted }).expect(403)).headers['refusal-reason']).toBe('expired')
    clock.advance(-3_605_000)
  })

  const refusals: [string, () => Promise<object> | object, string][] = [
    [
      'another audience',
      () => ({ token, ...wanted, aud: 'servicec' }),
      'jwt audience invalid. expected: servicec',
    ],
    [
      'another subject',
      () => ({ token, ...wanted, sub: 'serviceb' }),
      'jwt subject invalid. expected: serviceb',
    ],
    [
      'another issuer',
      async () => ({
        token: await factory.issue('servicea', { iss: 'https://me/', aud: 'serviceb' }),
        ...wanted,
      }),
      'jwt issuer invalid. expected: https://jwt-factory/',
    ],
    [
      'the key of another key ID',
      async () => ({
        token: await factory.issue('serviceb', { sub: 'servicea', aud: 'serviceb' }),
        ...wanted,
      }),
      'invalid signature',
    ],
    [
      'an unknown key',
      async () => ({
        token: await signToken({ iss: 'https://jwt-factory/', ...wanted }, stranger, {
          lifetimeSeconds: 60,
          clock: clock.now,
        }),
        ...wanted,
      }),
      'invalid signature',
    ],
    ['a modified token', () => ({ token: token.replace(/.\.([^.]*)$/, 'x.$1'), ...wanted }), 'invalid token'],
    ['no signature', () => ({ token: token.replace(/[^.]*$/, ''), ...wanted }), 'jwt signature is required'],
    ['no token at all', () => ({ token: 'abc', ...wanted }), 'jwt malformed'],
    ['a token that is a number', () => ({ token: 5, ...wanted }), 'jwt must be a string'],
    ['a token that is a list', () => ({ token: [token], ...wanted }), 'jwt must be a string'],
    ['a scheme before the token', () => ({ token: `Bearer ${token}`, ...wanted }), 'invalid token'],
  ]
  it.each(refusals)('rejects %s', async (_what, body, message) => {
    const response = await verify(await body())
    expect([response.status, response.body]).toEqual([
      403,
      { valid: false, error: { name: 'JsonWebTokenError', message }, claims: {} },
    ])
  })

  describe('in a watched trace', () => {
    afterEach(() => publishHopsTo(undefined))

    it.each([[1], [true], [{}], [['x']], [null]])('rejects the token %j as without one', async (given) => {
      const hops: HopEvent[] = []
      publishHopsTo((hop) => hops.push(hop))
      const response = await verify({ token: given, ...wanted }).set(
        'traceparent',
        `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      )
      expect([response.status, response.body.error?.message]).toEqual([403, 'jwt must be a string'])
      const verification = hops.find(({ kind }) => kind === 'verification')
      expect(verification).toMatchObject({ verdict: 'refused', message: 'jwt must be a string' })
      expect(verification).not.toHaveProperty('token')
    })
  })

  it.each([
    ['an unknown key, before anything else', {}, 'nobody', 404, 'key not found', 'key_not_found'],
    ['no token', { ...wanted }, 'servicea', 400, 'no token specified', 'token_missing'],
    ['an empty token', { token: '', ...wanted }, 'servicea', 400, 'no token specified', 'token_missing'],
    [
      'no audience',
      { token: 'x', sub: 'servicea' },
      'servicea',
      400,
      'no audience specified',
      'audience_missing',
    ],
    [
      'no subject',
      { token: 'x', aud: 'serviceb' },
      'servicea',
      400,
      'no subject specified',
      'subject_missing',
    ],
    [
      'a list of audiences',
      { token: 'x', ...wanted, aud: ['serviceb'] },
      'servicea',
      400,
      'the audience must be a string',
      'audience_invalid',
    ],
    [
      'a list of subjects',
      { token: 'x', ...wanted, sub: ['servicea'] },
      'servicea',
      400,
      'the subject must be a string',
      'subject_invalid',
    ],
  ])('rejects %s', async (_what, body, keyId, status, error, code) => {
    const response = await verify(body, keyId)
    expect([response.status, response.body]).toEqual([status, { valid: false, error, code }])
  })

  it('rejects a form', async () => {
    const response = await factory
      .post('/verify/servicea')
      .type('form')
      .send({ token, ...wanted })
    expect([response.status, response.body.error.code]).toEqual([400, 'wrong_content_type'])
  })
})
