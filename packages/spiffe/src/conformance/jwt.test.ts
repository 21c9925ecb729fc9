import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { GrpcError, status } from '../grpc/status.ts'
import { ConformanceRig } from '../testing/conformance-rig.ts'
import { createJwtKey, jwks, signJwt, type TestJwtKey } from '../testing/index.ts'

/* Groups JV, JB, JF and ID of the catalog of spiffe-conformance-test-suite; see endpoint.test.ts. */

let rig: ConformanceRig
let key: TestJwtKey
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']
const keys = new Map<string, TestJwtKey>()

beforeAll(async () => {
  rig = await ConformanceRig.started()
  key = rig.domain.jwtKey
  for (const alg of [...ALGORITHMS, 'EdDSA']) keys.set(alg, createJwtKey(alg, alg))
})
afterAll(() => rig.close())

const all = () => [key, ...keys.values()]
let revision = 0

/** Publishes these sets and waits until they are in use, which an additional marker key shows. */
async function publish(sets: Record<string, { keys: readonly object[] }>): Promise<void> {
  const name = `barrier-${++revision}.test`
  const barrier = createJwtKey('barrier')
  rig.api.setJwtBundles({ ...sets, [name]: jwks([barrier]) })
  const token = signJwt(claims({ sub: `spiffe://${name}/x` }), barrier)
  await rig.until(async () => (await rig.validate(token)).status === 200)
}

function claims(changes: Readonly<Record<string, unknown>> = {}) {
  const now = Math.floor(Date.now() / 1000)
  return { sub: 'spiffe://example.org/workload', aud: ['conformance'], iat: now, exp: now + 300, ...changes }
}

const accepts = async (token: string) => expect(await rig.validate(token)).toMatchObject({ status: 200 })
const refuses = async (token: string) => expect(await rig.validate(token)).toMatchObject({ status: 422 })

describe('JWT-SVID validation', () => {
  beforeAll(() => publish({ 'example.org': jwks(all()) }))
  // The positive control before every rejection: the same harness and bundles, a valid token.
  beforeEach(() => accepts(signJwt(claims(), key)))

  it('JV-1 accepts a valid token and returns its subject', async () => {
    expect(await rig.validate(signJwt(claims(), key))).toMatchObject({
      status: 200,
      spiffe_id: 'spiffe://example.org/workload',
    })
  })

  for (const alg of ALGORITHMS)
    it(`JV-2/${alg} accepts it`, () => accepts(signJwt(claims(), keys.get(alg) as TestJwtKey)))

  it('JV-3 rejects alg none', async () => {
    const [, payload] = signJwt(claims(), key).split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'none', kid: key.kid, typ: 'JWT' })).toString(
      'base64url',
    )
    await refuses(`${header}.${payload}.`)
  })

  for (const bits of [256, 384, 512])
    it(`JV-4 rejects HS${bits}, also with the public key of the bundle as secret`, async () => {
      const header = Buffer.from(JSON.stringify({ alg: `HS${bits}`, kid: key.kid, typ: 'JWT' })).toString(
        'base64url',
      )
      const [, payload] = signJwt(claims(), key).split('.')
      for (const secret of ['secret', key.publicKey.export({ type: 'spki', format: 'pem' })]) {
        const mac = createHmac(`sha${bits}`, secret).update(`${header}.${payload}`).digest('base64url')
        await refuses(`${header}.${payload}.${mac}`)
      }
    })

  it('JV-5 rejects EdDSA even if its key is in the bundle', () =>
    refuses(signJwt(claims(), keys.get('EdDSA') as TestJwtKey)))

  it('JV-6 rejects an algorithm that is not the one of the key', async () => {
    await refuses(signJwt(claims(), keys.get('RS256') as TestJwtKey, { kid: key.kid }))
    await refuses(signJwt(claims(), { ...key, alg: 'ES384' }))
    await refuses(signJwt(claims(), { ...(keys.get('ES384') as TestJwtKey), alg: 'ES256' }))
  })

  it('JV-7 rejects a token without aud', () => refuses(signJwt(claims({ aud: undefined }), key)))
  it('JV-8 rejects a token for others', () => refuses(signJwt(claims({ aud: ['other'] }), key)))
  it('JV-9 accepts a token that is also for others', () =>
    accepts(signJwt(claims({ aud: ['other', 'conformance'] }), key)))
  it('JV-10 accepts aud as a string', () => accepts(signJwt(claims({ aud: 'conformance' }), key)))
  it('JV-11 rejects a token without exp', () => refuses(signJwt(claims({ exp: undefined }), key)))
  it('JV-12 rejects an expired token', () =>
    refuses(signJwt(claims({ exp: Math.floor(Date.now() / 1000) - 300 }), key)))
  it('JV-13 rejects a token that is not valid yet', () =>
    refuses(signJwt(claims({ nbf: Math.floor(Date.now() / 1000) + 300 }), key)))

  it('JV-14 rejects a token with one bit of its signature changed', async () => {
    const [header, payload, signature = ''] = signJwt(claims(), key).split('.')
    const bytes = Buffer.from(signature, 'base64url')
    bytes[10] = (bytes[10] as number) ^ 1
    await refuses(`${header}.${payload}.${bytes.toString('base64url')}`)
  })

  it('JV-15 rejects a token with another payload', async () => {
    const [header, , signature] = signJwt(claims(), key).split('.')
    const [, payload] = signJwt(claims({ sub: 'spiffe://example.org/admin' }), key).split('.')
    await refuses(`${header}.${payload}.${signature}`)
  })

  it('JV-16 rejects a key that is not in the bundle', () =>
    refuses(signJwt(claims(), createJwtKey('unknown'))))

  it('JV-17 rejects a key of one trust domain for a subject of another', async () => {
    const foreign = createJwtKey('foreign')
    await publish({ 'example.org': jwks(all()), 'b.test': jwks([foreign]) })
    await accepts(signJwt(claims({ sub: 'spiffe://b.test/x' }), foreign))
    await refuses(signJwt(claims({ sub: 'spiffe://b.test/x' }), key))
    await refuses(signJwt(claims(), foreign))
  })

  it('JV-18 rejects a subject of a trust domain without a bundle', () =>
    refuses(signJwt(claims({ sub: 'spiffe://nowhere.test/x' }), key)))
  it('JV-19 rejects a subject that is not a SPIFFE ID', () =>
    refuses(signJwt(claims({ sub: 'workload' }), key)))

  for (const typ of ['JWT', 'JOSE', undefined])
    it(`JV-20 accepts typ ${typ}`, () => accepts(signJwt(claims(), key, { typ })))
  for (const typ of ['jwt', 'at+jwt', '', null])
    it(`JV-21 rejects typ ${JSON.stringify(typ)}`, () => refuses(signJwt(claims(), key, { typ })))

  it('JV-22 accepts a token without kid', async () => {
    await accepts(signJwt(claims(), key, { kid: undefined }))
    await refuses(signJwt(claims(), createJwtKey('unknown'), { kid: undefined }))
  })

  it('JV-23 rejects an unknown critical header', async () => {
    await refuses(signJwt(claims(), key, { crit: ['x'], x: 1 }))
    await refuses(signJwt(claims(), key, { crit: ['b64'], b64: true }))
    await refuses(signJwt(claims(), key, { crit: [] }))
  })

  it('JV-24 rejects the JSON serialization', async () => {
    const [header, payload, signature] = signJwt(claims(), key).split('.')
    await refuses(JSON.stringify({ protected: header, payload, signature }))
    await refuses(JSON.stringify({ payload, signatures: [{ protected: header, signature }] }))
  })

  it('JV-25 rejects what is not a compact token', async () => {
    const token = signJwt(claims(), key)
    const [header, payload, signature] = token.split('.')
    await refuses('')
    await refuses(`${header}.${payload}`)
    await refuses(`${token}.${signature}`)
    await refuses(`${header}.${payload}.${signature}=`)
    await refuses(`${header}.${payload}+.${signature}`)
    await refuses(`${Buffer.from('{').toString('base64url')}.${payload}.${signature}`)
    await refuses(`${header}.${Buffer.from('[]').toString('base64url')}.${signature}`)
  })

  it('rejects a duplicate member', async () => {
    const now = Math.floor(Date.now() / 1000)
    const { sign } = await import('node:crypto')
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: key.kid })).toString('base64url')
    const payload = `{"sub":"spiffe://example.org/a","sub":"spiffe://example.org/b","aud":"conformance","exp":${now + 60}}`
    const input = `${header}.${Buffer.from(payload).toString('base64url')}`
    const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
    await refuses(`${input}.${signature.toString('base64url')}`)
  })
})

describe('JWT bundles', () => {
  it('JB-1 JB-2 use an added key and drop a removed one', async () => {
    const second = createJwtKey('second')
    await publish({ 'example.org': jwks([key]) })
    await refuses(signJwt(claims(), second))
    await publish({ 'example.org': jwks([key, second]) })
    await accepts(signJwt(claims(), second))
    await publish({ 'example.org': jwks([key]) })
    await refuses(signJwt(claims(), second))
    await accepts(signJwt(claims(), key))
  })

  it('JB-3 JB-8 trust a federated domain only while its bundle is published', async () => {
    const foreign = createJwtKey('foreign')
    const token = signJwt(claims({ sub: 'spiffe://b.test/x' }), foreign)
    await publish({ 'example.org': jwks([key]), 'b.test': jwks([foreign]) })
    await accepts(token)
    await publish({ 'example.org': jwks([key]) })
    await refuses(token)
  })

  it('JB-4 finds the key by kid', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((kid) => createJwtKey(kid)) as [TestJwtKey, TestJwtKey, TestJwtKey]
    await publish({ 'example.org': jwks([a, b, c]) })
    await accepts(signJwt(claims(), b))
    await refuses(signJwt(claims(), b, { kid: 'a' }))
  })

  it('JB-5 skips keys for another use', async () => {
    const other = createJwtKey('other')
    await publish({
      'example.org': {
        keys: [...jwks([other], { use: 'x509-svid' }).keys, ...jwks([key], { use: 'jwt-svid' }).keys],
      },
    })
    await refuses(signJwt(claims(), other))
    await accepts(signJwt(claims(), key))
  })

  it('JB-5 skips a key without a use if others have one, and accepts all if none has', async () => {
    const other = createJwtKey('other')
    const plain = jwks([other]).keys
    await publish({ 'example.org': { keys: [...plain, ...jwks([key], { use: 'jwt-svid' }).keys] } })
    await refuses(signJwt(claims(), other))
    await accepts(signJwt(claims(), key))
    await publish({ 'example.org': { keys: [...plain, ...jwks([key]).keys] } })
    await accepts(signJwt(claims(), other))
  })

  it('JB-6 skips keys of an unknown type and keeps the rest', async () => {
    const odd = [
      { kty: 'AKP', kid: 'odd', alg: 'ML-DSA-44', pub: 'AAAA' },
      { kty: 'EC', kid: 'bad', crv: 'P-256', x: 'AA' },
      {},
    ]
    await publish({ 'example.org': { keys: [...odd, ...jwks([key]).keys] } })
    await accepts(signJwt(claims(), key))
  })

  it('JB-7 trusts no token if the list of keys is empty', async () => {
    await publish({ 'example.org': { keys: [] } })
    await refuses(signJwt(claims(), key))
  })
})

describe('fetching JWT-SVIDs', () => {
  beforeAll(() => {
    rig.api.onFetchJwtSvid = ({ audience, spiffeId }) => {
      const path = spiffeId === '' ? '/workload' : spiffeId.slice('spiffe://example.org'.length)
      return {
        svids: [{ spiffeId: rig.domain.id(path), svid: rig.domain.jwtSvid(path, audience), hint: '' }],
      }
    }
  })

  it('JF-1 JF-2 requests the given audiences, and returns the received tokens', async () => {
    for (const audience of [['a'], ['a', 'b']]) {
      const { status: code, svids } = await rig.control('/v1/jwt/fetch', { audience, spiffe_id: '' })
      expect(code).toBe(200)
      expect(svids).toEqual([
        { spiffe_id: 'spiffe://example.org/workload', token: expect.any(String), hint: '' },
      ])
      expect(rig.api.jwtSvidRequests.at(-1)).toEqual({ audience, spiffeId: '' })
    }
  })

  it('JF-3 requests the given identity', async () => {
    const spiffe_id = 'spiffe://example.org/second'
    expect(await rig.control('/v1/jwt/fetch', { audience: ['a'], spiffe_id })).toMatchObject({
      svids: [{ spiffe_id }],
    })
    expect(rig.api.jwtSvidRequests.at(-1)?.spiffeId).toBe(spiffe_id)
  })

  it('JF-4 returns an error and no old token when the agent rejects it', async () => {
    rig.api.onFetchJwtSvid = () => {
      throw new GrpcError(status.permissionDenied, 'no identity issued')
    }
    expect(await rig.control('/v1/jwt/fetch', { audience: ['a'] })).toMatchObject({ status: 422 })
  })
})

describe('SPIFFE IDs', () => {
  beforeAll(() =>
    publish(
      Object.fromEntries(['example.org', 'td_1.example-2', '10.0.0.1'].map((name) => [name, jwks([key])])),
    ),
  )

  for (const sub of [
    'spiffe:///a',
    'spiffe://example.org:8080/a',
    'spiffe://u@example.org/a',
    'spiffe://example.org/a?x=1',
    'spiffe://example.org/a#f',
    'spiffe://example.org/%41',
    'spiffe://example.org/a//b',
    'spiffe://example.org/a/./b',
    'spiffe://example.org/a/../b',
    'spiffe://example.org/a/',
    'spiffe://example.org/a!b',
    'spiffe://t$d/a',
    'SPIFFE://example.org/a',
    'spiffe://EXAMPLE.org/a',
  ])
    it(`ID-1 rejects ${sub}`, () => refuses(signJwt(claims({ sub }), key)))

  const longest = `spiffe://example.org/${'a'.repeat(2048 - 'spiffe://example.org/'.length)}`
  for (const sub of [
    'spiffe://example.org/a.-_Z9/B',
    'spiffe://td_1.example-2/a',
    'spiffe://10.0.0.1/a',
    'spiffe://example.org/...',
    longest,
  ])
    it(`ID-2 accepts ${sub.slice(0, 40)}`, async () => {
      expect(await rig.validate(signJwt(claims({ sub }), key))).toMatchObject({ status: 200, spiffe_id: sub })
    })
})
