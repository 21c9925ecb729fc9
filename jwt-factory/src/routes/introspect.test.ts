import { beforeAll, describe, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'

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
