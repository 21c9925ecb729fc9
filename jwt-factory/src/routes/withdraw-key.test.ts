import { parseCompact } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { REFUSAL_REASON } from '../client.ts'
import { useClosedFactory, useFactory } from '../testing.ts'

describe('POST /keys/:keyId/withdraw', () => {
  const factory = useFactory()
  const verify = (keyId: string, token: string) =>
    factory.post(`/verify/${keyId}`, { token, aud: 'serviceb', sub: keyId })
  const withdraw = (keyId: string, body?: object) => factory.post(`/keys/${keyId}/withdraw`, body)
  const kidOf = (token: string) => parseCompact(token).header.kid

  it('withdraws the key of a kid: its tokens are rejected, it leaves the key sets, and another key signs', async () => {
    await factory.get('/keys/servicea').expect(200)
    const token = await factory.issue('servicea')
    // As in an incident: the stolen key is no longer the signing one.
    for (let round = 0; round < 3; round += 1) await factory.post('/keys/servicea').expect(200)
    await verify('servicea', token).expect(200)
    const { body } = await withdraw('servicea', { kid: kidOf(token) }).expect(200)
    expect(body).toEqual({ keyId: 'servicea', withdrawn: [kidOf(token)], signing: expect.any(String) })
    const refused = await verify('servicea', token).expect(403)
    expect(refused.body).toEqual({
      valid: false,
      error: { name: 'JsonWebTokenError', message: 'invalid signature' },
      claims: {},
    })
    expect(refused.headers[REFUSAL_REASON]).toBe('key_withdrawn')
    await factory.post('/introspect').type('form').send({ token }).expect(200, { active: false })
    for (const path of ['/.well-known/jwks.json', '/keys/servicea/jwks.json'])
      expect((await factory.get(path)).text).not.toContain(kidOf(token))
    const { body: again } = await withdraw('servicea', { kid: kidOf(token) }).expect(200)
    expect(again).toEqual(body)
    await verify('servicea', await factory.issue('servicea')).expect(200)
  })

  it.each([[undefined], [{}], [{ all: true }]])('withdraws all keys with the body %j', async (body) => {
    const keyId = `all-${JSON.stringify(body)?.length ?? 0}`
    await factory.get(`/keys/${keyId}`).expect(200)
    const first = await factory.issue(keyId)
    await factory.post(`/keys/${keyId}`).expect(200)
    const second = await factory.issue(keyId)
    await withdraw(keyId, body).expect(200)
    for (const token of [first, second])
      expect((await verify(keyId, token).expect(403)).headers[REFUSAL_REASON]).toBe('key_withdrawn')
    await verify(keyId, await factory.issue(keyId)).expect(200)
    const { body: shown } = await factory.get('/utils/key-states').expect(200)
    const states = shown.keyIds.find((ring: { keyId: string }) => ring.keyId === keyId).keys
    expect(
      states.filter(({ state }: { state: string }) => state === 'withdrawn').length,
    ).toBeGreaterThanOrEqual(2)
  })

  it.each([
    ['two wishes', { kid: 'x', all: true }],
    ['a kid that is no string', { kid: 5 }],
    ['an empty kid', { kid: '' }],
    ['all: false', { all: false }],
    ['another member', { kdi: 'x' }],
  ])('rejects %s', async (_what, body) => {
    await factory.get('/keys/strict').expect(200)
    const response = await withdraw('strict', body)
    expect([response.status, response.body.error]).toEqual([
      400,
      { code: 'invalid_request', message: 'The body must be {"kid": "…"}, {"all": true}, or empty.' },
    ])
  })

  it('rejects a kid and a key ID that do not exist', async () => {
    await factory.get('/keys/servicea').expect(200)
    for (const [keyId, body] of [
      ['servicea', { kid: 'servicea-x' }],
      ['nobody', {}],
    ] as const) {
      const response = await withdraw(keyId, body)
      expect([response.status, response.body.error.code]).toEqual([404, 'key_not_found'])
    }
  })
})

describe('POST /keys/:keyId/withdraw with authenticated callers', () => {
  const factory = useClosedFactory()

  it('is allowed only for an administrator', async () => {
    const asked = async (name: 'servicea' | 'operator') =>
      factory.post('/keys/servicea/withdraw').set('authorization', await factory.as(name))
    const { status, body } = await asked('servicea')
    expect([status, body.error.code]).toEqual([403, 'not_an_administrator'])
    expect((await asked('operator')).status).toBe(200)
  })
})
