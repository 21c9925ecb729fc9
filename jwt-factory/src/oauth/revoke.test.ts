import { beforeAll, describe, expect, it } from '@jest/globals'
import { useClosedFactory, useFactory } from '../testing.ts'

describe('POST /revoke', () => {
  const factory = useFactory()
  beforeAll(() => factory.get('/keys/servicea').expect(200))
  const revoke = (form: object) => factory.post('/revoke').type('form').send(form)

  it('revokes one token, and no other', async () => {
    const [token, other] = [await factory.issue('servicea'), await factory.issue('servicea')]
    const verify = (checked: string) =>
      factory.post('/verify/servicea', { token: checked, aud: 'serviceb', sub: 'servicea' })
    await verify(token).expect(200)
    await revoke({ token }).expect(200)
    await verify(token).expect(403, {
      valid: false,
      error: { name: 'JsonWebTokenError', message: 'jwt revoked' },
      claims: {},
    })
    await factory.post('/introspect').type('form').send({ token }).expect(200, { active: false })
    await verify(other).expect(200)
  })

  it.each(['access_token', 'refresh_token', 'unknown'])(
    'revokes a token whatever the hint is (RFC 7009 §2.1): %s',
    async (hint) => {
      const token = await factory.issue('servicea')
      await revoke({ token, token_type_hint: hint }).expect(200)
      await factory.post('/introspect').type('form').send({ token }).expect(200, { active: false })
    },
  )

  it('accepts an invalid token (RFC 7009 §2.2)', async () => {
    await revoke({ token: 'abc' }).expect(200)
    await revoke({}).expect(400, {
      error: 'invalid_request',
      error_description: 'The form must contain a token (RFC 7009 section 2.1).',
    })
  })
})

describe('POST /revoke with authenticated callers', () => {
  const factory = useClosedFactory()

  it('is allowed for the token’s subject and for an administrator', async () => {
    const token = await factory.issueAsA()
    const isActive = async () => (await factory.postForm('/introspect', { token }, 'operator')).body.active
    const { status, body } = await factory.postForm('/revoke', { token }, 'serviceb')
    expect([status, body, await isActive()]).toEqual([
      400,
      {
        error: 'unauthorized_client',
        error_description: 'serviceb is allowed to revoke only its own tokens.',
      },
      true,
    ])
    expect((await factory.postForm('/revoke', { token }, 'servicea')).status).toBe(200)
    expect(await isActive()).toBe(false)
    const other = await factory.issueAsA()
    expect((await factory.postForm('/revoke', { token: other }, 'operator')).status).toBe(200)
    expect((await factory.postForm('/introspect', { token: other }, 'serviceb')).body).toEqual({
      active: false,
    })
  })
})
