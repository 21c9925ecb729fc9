import { beforeAll, describe, expect, it } from '@jest/globals'
import { JwtBundle } from '../jwt-bundle/bundle.ts'
import { JwtBundleSet } from '../jwt-bundle/set.ts'
import { TrustDomain } from '../spiffe-id/trust-domain.ts'
import { createJwtKey, jwks, TestAuthority, TestTrustDomain } from '../testing/index.ts'
import { X509Bundle } from '../x509-bundle/bundle.ts'
import { X509BundleSet } from '../x509-bundle/set.ts'
import { SpiffeBundle } from './bundle.ts'
import { SpiffeBundleSet } from './set.ts'

let domain: TestTrustDomain
let bundle: SpiffeBundle
beforeAll(async () => {
  domain = await TestTrustDomain.create('example.org')
  bundle = new SpiffeBundle({
    x509: domain.x509Bundle,
    jwt: domain.jwtBundle,
    sequence: 7,
    refreshHintSeconds: 60,
  })
})

describe('a SPIFFE bundle', () => {
  it('survives a round trip through its document', () => {
    const { keys, ...members } = JSON.parse(bundle.toJson())
    expect(members).toEqual({ spiffe_sequence: 7, spiffe_refresh_hint: 60 })
    expect(keys).toEqual([
      {
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String),
        y: expect.any(String),
        use: 'x509-svid',
        x5c: [expect.any(String)],
      },
      {
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String),
        y: expect.any(String),
        use: 'jwt-svid',
        kid: 'authority-1',
      },
    ])
    expect(SpiffeBundle.ofJson('example.org', bundle.toJson()).equals(bundle)).toBe(true)
  })

  it('skips unknown keys, and uses the first of several certificates', async () => {
    const document = JSON.parse(bundle.toJson())
    const [ca, jwt] = document.keys
    const other = (await TestAuthority.root('example.org')).der.toString('base64')
    const read = SpiffeBundle.ofJson(
      'example.org',
      JSON.stringify({
        keys: [
          { ...ca, x5c: [...ca.x5c, other] },
          { ...ca, x5c: ['nonsense'] },
          { ...ca, x5c: undefined },
          jwt,
          { ...jwt, use: undefined },
          { ...jwt, use: 'sig' },
          { ...jwt, kid: undefined },
          { kty: 'AKP', use: 'jwt-svid', kid: 'x' },
          { kty: 'oct', k: 'AAAA', use: 'jwt-svid', kid: 'x' },
          null,
          'key',
        ],
      }),
    )
    expect(read.x509.equals(bundle.x509)).toBe(true)
    expect(read.jwt.equals(bundle.jwt)).toBe(true)
    expect({ sequence: read.sequence, hint: read.refreshHintSeconds }).toEqual({
      sequence: undefined,
      hint: undefined,
    })
  })

  it('with an empty list of keys trusts no keys; without the list it is rejected', () => {
    expect(SpiffeBundle.ofJson('example.org', '{"keys":[]}').x509.authorities).toEqual([])
    for (const [document, code, message] of [
      ['{', 'malformed_bundle', 'spiffebundle: unable to parse JWKS: it is not JSON'],
      ['{}', 'no_authorities', 'spiffebundle: no authorities found'],
      ['null', 'no_authorities', 'spiffebundle: no authorities found'],
      ['{"keys":{}}', 'no_authorities', 'spiffebundle: no authorities found'],
      [
        '{"keys":[],"spiffe_sequence":-1}',
        'malformed_bundle',
        'spiffebundle: spiffe_sequence is not a 64-bit integer',
      ],
      [
        '{"keys":[],"spiffe_sequence":18446744073709551616}',
        'malformed_bundle',
        'spiffebundle: spiffe_sequence is not a 64-bit integer',
      ],
      [
        '{"keys":[],"spiffe_sequence":1.5}',
        'malformed_bundle',
        'spiffebundle: spiffe_sequence is not a 64-bit integer',
      ],
      [
        '{"keys":[],"spiffe_refresh_hint":1e400}',
        'malformed_bundle',
        'spiffebundle: spiffe_refresh_hint is not an integer below 2^53',
      ],
      [
        '{"keys":[],"spiffe_sequence":1,"spiffe_sequence":2}',
        'malformed_bundle',
        'spiffebundle: unable to parse JWKS: Member spiffe_sequence occurs twice; send it once.',
      ],
    ] as const)
      expect(() => SpiffeBundle.ofJson('example.org', document)).toThrow(
        expect.objectContaining({ code, message }),
      )
  })

  it.each([9007199254740991, 9007199254740993n, 9007199254740994n, 1234567890123456800n, 2n ** 64n - 1n])(
    'keeps the sequence number %s',
    (sequence) => {
      const document = `{"keys":[],"spiffe_sequence":${sequence}}`
      const read = SpiffeBundle.ofJson('example.org', document)
      expect(read.sequence).toBe(sequence)
      expect(read.toJson()).toBe(document)
      expect(SpiffeBundle.ofJson('example.org', read.toJson()).equals(read)).toBe(true)
      const next = document.replace(/\d+/, (digits) => `${BigInt(digits) - 1n}`)
      expect(SpiffeBundle.ofJson('example.org', next).equals(read)).toBe(false)
    },
  )

  it('is a source of both kinds only for its own trust domain, and so is a set', () => {
    const stranger = TrustDomain.ofName('b.test')
    for (const source of [bundle, new SpiffeBundleSet([bundle])]) {
      expect(source.getX509Bundle(domain.trustDomain)).toBe(bundle.x509)
      expect(source.getJwtBundle(domain.trustDomain)).toBe(bundle.jwt)
      expect(source.x509Bundles).toEqual([bundle.x509])
      expect(() => source.getX509Bundle(stranger)).toThrow(/^x509bundle: no X\.509 bundle .*"b\.test"$/)
      expect(() => source.getJwtBundle(stranger)).toThrow(/^jwtbundle: no JWT bundle .*"b\.test"$/)
    }
  })
})

describe('an X.509 bundle', () => {
  it('can be read from and written to DER and PEM', () => {
    const { x509 } = bundle
    expect(X509Bundle.ofDer('example.org', x509.toDer()).equals(x509)).toBe(true)
    expect(X509Bundle.ofPem('spiffe://example.org', x509.toPem()).equals(x509)).toBe(true)
    expect(X509Bundle.ofDer('example.org', Buffer.of()).authorities).toEqual([])
    expect(() => X509Bundle.ofPem('example.org', 'nothing')).toThrow(
      expect.objectContaining({ code: 'no_certificates', message: 'x509bundle: no certificates found' }),
    )
    expect(() => X509Bundle.ofDer('example.org', Buffer.of(1))).toThrow(
      'x509bundle: cannot parse certificate: ',
    )
  })

  it('differs from one of another trust domain, and the order of a set does not matter', async () => {
    const other = (await TestTrustDomain.create('b.test')).x509Bundle
    const { x509 } = bundle
    expect(x509.equals(new X509Bundle('b.test', x509.authorities))).toBe(false)
    expect(new X509BundleSet([x509, other]).equals(new X509BundleSet([other, x509]))).toBe(true)
    expect(new X509BundleSet([x509, other]).equals(new X509BundleSet([x509]))).toBe(false)
    expect(new X509BundleSet([x509]).equals(new X509BundleSet([other]))).toBe(false)
  })
})

describe('a JWT bundle', () => {
  it('survives a round trip through its JWK Set', () => {
    const keys = [createJwtKey('a', 'RS256'), createJwtKey('b', 'ES512')]
    const read = JwtBundle.ofJwks('example.org', jwks(keys))
    expect(read.authorities.map(({ kid }) => kid)).toEqual(['a', 'b'])
    expect(JwtBundle.ofJwks('example.org', JSON.stringify(read.toJwks())).equals(read)).toBe(true)
    expect(new JwtBundleSet([read]).equals(new JwtBundleSet([bundle.jwt]))).toBe(false)
  })

  it('does not load private or short keys', async () => {
    const { generateKeyPairSync } = await import('node:crypto')
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    const leaked = { ...createJwtKey('leaked').privateKey.export({ format: 'jwk' }), kid: 'leaked' }
    const read = JwtBundle.ofJwks('example.org', { keys: [{ ...short, kid: 'short' }, leaked] })
    expect(read.authorities.map(({ kid, publicKey }) => [kid, publicKey.type])).toEqual([
      ['leaked', 'public'],
    ])
    expect(JSON.stringify(read.toJwks())).not.toContain('"d"')
  })

  it('is rejected if it is not a JWK Set', () => {
    for (const wrong of ['', '[]', '{}', null, { keys: 'x' }])
      expect(() => JwtBundle.ofJwks('example.org', wrong)).toThrow(
        expect.objectContaining({
          code: 'malformed_bundle',
          message: expect.stringContaining('jwtbundle: unable to parse JWKS'),
        }),
      )
  })
})
