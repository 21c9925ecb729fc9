import { describe, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'

describe('GET /utils/publicKey/:keyId', () => {
  const factory = useFactory()

  it('returns the signing key', async () => {
    const { body } = await factory.get('/keys/servicea')
    await factory.get('/utils/publicKey/servicea').expect(200, body)
    const rotated = (await factory.post('/keys/servicea')).body
    await factory.get('/utils/publicKey/servicea').expect(200, rotated)
  })

  it('creates no key: an unknown key ID is 404, also a built-in name of JavaScript', async () => {
    for (const keyId of ['nobody', '__proto__', 'constructor', 'toString']) {
      const { status, body } = await factory.get(`/utils/publicKey/${keyId}`)
      expect([status, body.error.code]).toEqual([404, 'key_not_found'])
      // GET /keys/__proto__ would be 400.
      const remedy = keyId === 'nobody' ? ' GET /keys/nobody creates it.' : ''
      expect(body.error.message).toBe(`Key ${keyId} not found.${remedy}`)
    }
    await factory.get('/utils/keys').expect(200, ['servicea'])
    const { body } = await factory.get('/utils/key-states').expect(200)
    const [{ keyId, keys }] = body.keyIds
    expect([keyId, keys.map(({ state }: { state: string }) => state).sort()]).toEqual([
      'servicea',
      expect.arrayContaining(['signing']),
    ])
  })
})
