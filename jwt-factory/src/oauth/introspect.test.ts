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

  it('returns only active: false for an invalid token', async () => {
    const expired = (await factory.post('/issueToken/servicea?expired=1', { aud: 'serviceb' })).text
    const manyAudiences = await factory.issue('servicea', { aud: ['serviceb', 'servicec'] })
    for (const token of ['abc', expired, manyAudiences, (await factory.issue('servicea')).slice(0, -2)])
      await introspect({ token }).expect(200, { active: false })
  })

  it('requires a form with a token', async () => {
    expect((await introspect({})).body.error.code).toBe('invalid_request')
    expect((await factory.post('/introspect', { token: 'x' })).body.error.code).toBe('wrong_content_type')
    const twice = await factory.post('/introspect').type('form').send('token=a&token=b')
    expect([twice.status, twice.body.error.code]).toEqual([400, 'repeated_parameter'])
  })
})

describe('POST /introspect with authenticated callers', () => {
  const factory = useClosedFactory()

  it('shows a service the tokens whose audience it is, and an administrator all tokens', async () => {
    const token = await factory.issueAsA()
    const isActive = async (name: 'servicea' | 'serviceb' | 'servicec' | 'operator') =>
      (await factory.postForm('/introspect', { token }, name)).body.active
    expect(await isActive('serviceb')).toBe(true)
    expect(await isActive('operator')).toBe(true)
    expect(await isActive('servicec')).toBe(false)
    expect(await isActive('servicea')).toBe(false)
  })

  it('rejects unauthenticated callers', async () => {
    const { status, body } = await factory
      .post('/introspect')
      .type('form')
      .send({ token: await factory.issueAsA() })
    expect([status, body.error.code]).toEqual([401, 'invalid_client'])
  })
})
