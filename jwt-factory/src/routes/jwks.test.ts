import { anySubject, parseCompact, parseJwks, remoteKeys, verifyToken } from '@hallpass/tokens'
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
    await factory.post('/keys/servicea').expect(200)
    // Made in the background; Jest's timeout ends the wait if it never appears.
    let before: string[] = []
    for (const end = performance.now() + 4_000; before.length < 3 && performance.now() < end; )
      before = await kids()
    await factory.post('/keys/servicea').expect(200)
    expect(await kids()).toEqual(expect.arrayContaining(before))
    const token = await factory.issue('servicea')
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString())
    expect(before).toContain(kid)
  })

  it('may be cached for a minute, and answers 304 when unchanged', async () => {
    const { headers } = await get()
    expect(headers['cache-control']).toBe('public, max-age=60')
    const etag = headers.etag as string
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const response = await get().set('if-none-match', known)
      expect([response.status, response.text, response.headers.etag]).toEqual([304, '', etag])
    }
    await get().set('if-none-match', '"other"').expect(200)
    await factory.get('/keys/another').expect(200)
    await get().set('if-none-match', etag).expect(200)
  })
  it('is also found by a kid, which every token has', async () => {
    await factory.get('/keys/other').expect(200)
    const token = await factory.issue('servicea')
    const { kid } = parseCompact(token).header as { kid: string }
    const { body } = await factory.get(`/.well-known/jwks.json?kid=${kid}`).expect(200)
    expect(body.keys.map((key: { kid: string }) => key.kid)).toContain(kid)
    expect(body.keys.every((key: { kid: string }) => key.kid.startsWith('servicea-'))).toBe(true)
    const { status, body: error } = await factory.get('/.well-known/jwks.json?kid=nobody-x')
    expect([status, error.error.code]).toEqual([404, 'key_not_found'])
  })
})

describe('GET /keys/:keyId/jwks.json', () => {
  const factory = useFactory()

  it('publishes the keys of one key ID, to anyone', async () => {
    await factory.get('/keys/servicea').expect(200)
    await factory.get('/keys/serviceb').expect(200)
    const { body, headers } = await factory.get('/keys/servicea/jwks.json').expect(200)
    expect(headers['cache-control']).toBe('public, max-age=60')
    expect(body.keys.map(({ kid }: { kid: string }) => kid.slice(0, 9))).toEqual(['servicea-'])
    await factory
      .get('/keys/servicea/jwks.json')
      .set('if-none-match', headers.etag as string)
      .expect(304)
    const { status, body: error } = await factory.get('/keys/nobody/jwks.json')
    expect([status, error.error.code]).toEqual([404, 'key_not_found'])
  })
})
