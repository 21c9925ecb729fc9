import { anySubject, parseJwks, remoteKeys, verifyToken } from '@hallpass/tokens'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { createJwtFactoryClient } from '../client.ts'
import { useFactory } from '../testing.ts'

describe('GET /.well-known/jwks.json', () => {
  const factory = useFactory()
  beforeAll(() => factory.get('/keys/servicea').expect(200))
  const get = () => factory.get('/.well-known/jwks.json')

  it('publishes the keys for verification, and nothing private', async () => {
    const { body, headers } = await get().expect(200)
    expect(headers['content-type']).toBe('application/jwk-set+json')
    const keys = parseJwks(body)
    expect(keys.every(({ kid }) => kid.startsWith('servicea-'))).toBe(true)
    const { jwks } = createJwtFactoryClient({ baseUrl: factory.url() })
    const { claims } = await verifyToken(await factory.issue('servicea'), {
      issuer: 'https://jwt-factory/',
      audience: 'serviceb',
      subject: anySubject,
      keys: remoteKeys({ issuer: 'https://jwt-factory/', load: jwks }),
      maxLifetimeSeconds: 3600,
    })
    expect(claims.sub).toBe('servicea')
  })

  it('contains the next key before it signs, and the previous one until its tokens expire', async () => {
    const kids = async () => (await get()).body.keys.map(({ kid }: { kid: string }) => kid) as string[]
    await factory.issue('servicea')
    const before = await kids()
    await factory.post('/keys/servicea').expect(200)
    expect(await kids()).toEqual(expect.arrayContaining(before))
    const token = await factory.issue('servicea')
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString())
    expect(before).toContain(kid)
  })

  it('may be cached for five minutes, and answers 304 when unchanged', async () => {
    const { headers } = await get()
    expect(headers['cache-control']).toBe('public, max-age=300')
    const etag = headers.etag as string
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const response = await get().set('if-none-match', known)
      expect([response.status, response.text, response.headers.etag]).toEqual([304, '', etag])
    }
    await get().set('if-none-match', '"other"').expect(200)
    await factory.get('/keys/another').expect(200)
    await get().set('if-none-match', etag).expect(200)
  })
})
