import { describe, expect, it } from '@jest/globals'
import { useFactory } from './testing.ts'

describe('jwt-factory', () => {
  const factory = useFactory()

  it('says in its log when it is open', () => {
    expect(factory.lines.map((line) => JSON.parse(line).msg)).toContainEqual(
      expect.stringMatching(/^OPEN: whoever reaches this address gets tokens in any name/),
    )
  })

  it('writes no token into its log', async () => {
    await factory.get('/keys/servicea')
    const token = await factory.issue('servicea')
    await factory.post('/verify/servicea', { token, aud: 'serviceb', sub: 'servicea' })
    await factory.get(`/utils/publicKey/${token}`).expect(400)
    expect(factory.lines.join()).toContain('/verify/servicea')
    expect(factory.lines.join()).not.toContain('eyJ')
  })

  it('is 404 elsewhere, in JSON', async () => {
    const { status, body } = await factory.get('/nowhere')
    expect([status, body.error.code]).toEqual([404, 'no_such_endpoint'])
  })
})
