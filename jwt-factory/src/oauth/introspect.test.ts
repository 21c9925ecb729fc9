import { beforeAll, describe, expect, it } from '@jest/globals'
import { useClosedFactory, useFactory } from '../testing.ts'

describe('POST /introspect', () => {
  const factory = useFactory()
  beforeAll(() => factory.get('/keys/servicea').expect(200))
  const introspect = (form: object) => factory.post('/introspect').type('form').send(form)

  it('returns the claims of a valid token', async () => {
    const { body, headers } = await introspect({ token: await factory.issue('servicea') }).expect(200)
    expect(body).toMatchObject({
      active: true,
      iss: 'https://jwt-factory/',
      sub: 'servicea',
      client_id: 'servicea',
      aud: 'serviceb',
      token_type: 'Bearer',
    })
    expect(headers['cache-control']).toBe('no-store')
  })

  it.each([
    [{ token_type_hint: 'access_token' }],
    [{ token_type_hint: 'refresh_token' }],
    [{ token_type_hint: 'unknown' }],
    [{ unknown: 'x' }],
  ])('ignores the hint, and parameters that it does not know: %j', async (more) => {
    const { body } = await introspect({ token: await factory.issue('servicea'), ...more }).expect(200)
    expect(body.active).toBe(true)
  })

  it('returns the members of RFC 7662 in their types, whatever the claims of these names are', async () => {
    const claims = { aud: 'serviceb', active: false, client_id: 7, token_type: 'x', scope: ['read', 'write'] }
    const { body } = await introspect({ token: await factory.issue('servicea', claims) }).expect(200)
    expect(body).toMatchObject({
      active: true,
      client_id: 'servicea',
      token_type: 'Bearer',
      scope: 'read write',
      exp: expect.any(Number),
      iat: expect.any(Number),
      jti: expect.any(String),
    })
    const noText = await introspect({ token: await factory.issue('servicea', { aud: 'b', scope: 7 }) })
    expect(noText.body).not.toHaveProperty('scope')
  })

  it('returns only active: false for an invalid token', async () => {
    const expired = (await factory.post('/issueToken/servicea?expired=1', { aud: 'serviceb' })).text
    const manyAudiences = await factory.issue('servicea', { aud: ['serviceb', 'servicec'] })
    for (const token of ['abc', expired, manyAudiences, (await factory.issue('servicea')).slice(0, -2)])
      await introspect({ token }).expect(200, { active: false })
  })

  it('requires a form with a token', async () => {
    for (const form of [{}, { token: '' }])
      await introspect(form).expect(400, {
        error: 'invalid_request',
        error_description: 'The form must contain a token (RFC 7662 section 2.1).',
      })
    await factory.post('/introspect', { token: 'x' }).expect(400, {
      error: 'invalid_request',
      error_description: 'The body must be application/x-www-form-urlencoded.',
    })
    await factory.post('/introspect').type('form').send('token=a&token=b').expect(400, {
      error: 'invalid_request',
      error_description: 'The form repeats a parameter or uses a reserved name.',
    })
  })
})

describe('POST /introspect with authenticated callers', () => {
  const factory = useClosedFactory()

  it('shows a service the tokens whose audience or client it is, and an administrator all tokens', async () => {
    const token = await factory.issueAsA()
    const isActive = async (name: 'servicea' | 'serviceb' | 'servicec' | 'operator') =>
      (await factory.postForm('/introspect', { token }, name)).body.active
    expect(await isActive('serviceb')).toBe(true)
    expect(await isActive('operator')).toBe(true)
    expect(await isActive('servicec')).toBe(false)
    expect(await isActive('servicea')).toBe(true)
  })

  it('rejects unauthenticated callers', async () => {
    const { status, body } = await factory
      .post('/introspect')
      .type('form')
      .send({ token: await factory.issueAsA() })
    expect([status, body]).toEqual([
      401,
      {
        error: 'invalid_client',
        error_description:
          'Client authentication is required. Send a client_assertion, or a signed assertion as the bearer token.',
      },
    ])
  })
})
