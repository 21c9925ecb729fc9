import { describe, expect, it } from '@jest/globals'
import { useFactory } from './testing.ts'

describe('jwt-factory', () => {
  const factory = useFactory()

  it('logs a warning in development mode', () => {
    expect(factory.lines.map((line) => JSON.parse(line).msg)).toContainEqual(
      expect.stringMatching(
        /^OPEN: callers are not authenticated; anyone who reaches this address can get any service’s tokens/,
      ),
    )
  })

  it('logs no token', async () => {
    await factory.get('/keys/servicea')
    const token = await factory.issue('servicea')
    await factory.post('/verify/servicea', { token, aud: 'serviceb', sub: 'servicea' })
    await factory.get(`/utils/publicKey/${token}`).expect(400)
    expect(factory.lines.join()).toContain('/verify/servicea')
    expect(factory.lines.join()).not.toContain('eyJ')
  })

  it('counts issued tokens, and verified tokens by outcome', async () => {
    await factory.get('/keys/counted')
    const token = await factory.issue('counted')
    for (const sub of ['counted', 'counted', 'other'])
      await factory.post('/verify/counted', { token, aud: 'serviceb', sub })
    const { text } = await factory.get('/metrics').expect(200)
    expect(text).toContain('tokens_issued_total{key_id="counted",service="jwt-factory"} 1')
    expect(text).toMatch(/token_verifications_total{outcome="valid",service="jwt-factory"} [2-9]/)
    expect(text).toContain('token_verifications_total{outcome="subject_mismatch",service="jwt-factory"} 1')
  })

  it('answers 404 for other paths, in JSON', async () => {
    const { status, body } = await factory.get('/nowhere')
    expect([status, body.error.code]).toEqual([404, 'no_such_endpoint'])
  })
})
