import { beforeAll, describe, expect, it } from '@jest/globals'
import { useClosedFactory, useFactory } from '../testing.ts'

describe('POST /introspect', () => {
  const factory = useFactory()
  beforeAll(() => factory.get('/keys/servicea').expect(200))
  const introspect = (form: object) => factory.post('/introspect').type('form').send(form)

  it('tells the claims of a good token', async () => {
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

  it('tells nothing of a bad one but that it is not active', async () => {
    const expired = (await factory.post('/issueToken/servicea?expired=1', { aud: 'serviceb' })).text
    const manyAudiences = await factory.issue('servicea', { aud: ['serviceb', 'servicec'] })
    for (const token of ['abc', expired, manyAudiences, (await factory.issue('servicea')).slice(0, -2)])
      await introspect({ token }).expect(200, { active: false })
  })

  it('needs a form with a token', async () => {
    expect((await introspect({})).body.error.code).toBe('invalid_request')
    expect((await factory.post('/introspect', { token: 'x' })).body.error.code).toBe('wrong_content_type')
    const twice = await factory.post('/introspect').type('form').send('token=a&token=b')
    expect([twice.status, twice.body.error.code]).toEqual([400, 'repeated_parameter'])
  })
})

describe('POST /introspect of a factory that is not open', () => {
  const factory = useClosedFactory()

  it('tells a service of the tokens that are for it, and an administrator of all', async () => {
    const token = await factory.issueAsA()
    const isActive = async (name: 'servicea' | 'serviceb' | 'servicec' | 'operator') =>
      (await factory.postForm('/introspect', { token }, name)).body.active
    expect(await isActive('serviceb')).toBe(true)
    expect(await isActive('operator')).toBe(true)
    expect(await isActive('servicec')).toBe(false)
    expect(await isActive('servicea')).toBe(false)
  })

  it('tells a stranger nothing', async () => {
    const { status, body } = await factory
      .post('/introspect')
      .type('form')
      .send({ token: await factory.issueAsA() })
    expect([status, body.error.code]).toEqual([401, 'invalid_client'])
  })
})
