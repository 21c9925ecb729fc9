import { beforeAll, describe, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'

describe('POST /revoke', () => {
  const factory = useFactory()
  beforeAll(() => factory.get('/keys/servicea').expect(200))
  const revoke = (form: object) => factory.post('/revoke').type('form').send(form)

  it('ends a token before its time, and no other', async () => {
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

  it('is content with a token that is no good anyway (RFC 7009 §2.2)', async () => {
    await revoke({ token: 'abc' }).expect(200)
    expect((await revoke({})).body.error.code).toBe('invalid_request')
  })
})
