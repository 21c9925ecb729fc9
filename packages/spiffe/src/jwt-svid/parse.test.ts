import { beforeAll, describe, expect, it } from '@jest/globals'
import { JwtBundle } from '../jwt-bundle/bundle.ts'
import { JwtBundleSet } from '../jwt-bundle/set.ts'
import { createJwtKey, jwks, signJwt, type TestJwtKey, TestTrustDomain } from '../testing/index.ts'
import { cachedValidator, parseAndValidate, parseInsecure } from './parse.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const clock = () => NOW
const seconds = NOW / 1000

let domain: TestTrustDomain
let key: TestJwtKey
let bundles: JwtBundleSet
beforeAll(async () => {
  domain = await TestTrustDomain.create('example.org', clock)
  key = domain.jwtKey
  bundles = new JwtBundleSet([domain.jwtBundle])
})

const claims = (changes: Readonly<Record<string, unknown>> = {}) => ({
  sub: 'spiffe://example.org/a',
  aud: ['me'],
  iat: seconds,
  exp: seconds + 300,
  ...changes,
})
const validate = (token: string, audience: string | readonly string[] = 'me') =>
  parseAndValidate(token, bundles, audience, { clock })

describe('parseAndValidate', () => {
  it('returns the subject, audience and expiry', () => {
    const svid = validate(signJwt(claims({ role: 'admin' }), key), ['you', 'me'])
    expect(svid).toMatchObject({
      audience: ['me'],
      expiresAt: NOW + 300_000,
      issuedAt: NOW,
      claims: { role: 'admin' },
    })
    expect(svid.id.toString()).toBe('spiffe://example.org/a')
  })

  const rejections: readonly [name: string, token: () => string, code: string, message: string][] = [
    ['not a token', () => 'nonsense', 'malformed_token', 'jwtsvid: unable to parse JWT token'],
    [
      'an algorithm not allowed for SVIDs',
      () => signJwt(claims(), { ...createJwtKey('e', 'EdDSA'), kid: key.kid }),
      'alg_not_allowed',
      'jwtsvid: unable to parse JWT token',
    ],
    [
      'a critical header',
      () => signJwt(claims(), key, { crit: ['x'] }),
      'critical_header',
      'jwtsvid: unable to parse JWT token',
    ],
    [
      'another type',
      () => signJwt(claims(), key, { typ: 'at+jwt' }),
      'wrong_typ',
      'jwtsvid: token header type not equal to either JWT or JOSE',
    ],
    [
      'claims of the wrong type',
      () => signJwt(claims({ aud: [1] }), key),
      'malformed_claims',
      'jwtsvid: unable to get claims from token: aud is neither a string nor a list of strings',
    ],
    [
      'an invalid time',
      () => signJwt(claims({ exp: '1' }), key),
      'malformed_claims',
      'jwtsvid: unable to get claims from token: exp is not a NumericDate',
    ],
    [
      'no subject',
      () => signJwt(claims({ sub: undefined }), key),
      'missing_subject',
      'jwtsvid: token missing subject claim',
    ],
    [
      'no expiry',
      () => signJwt(claims({ exp: undefined }), key),
      'missing_expiry',
      'jwtsvid: token missing exp claim',
    ],
    [
      'a subject that is not a SPIFFE ID',
      () => signJwt(claims({ sub: 'a' }), key),
      'wrong_scheme',
      'jwtsvid: token has an invalid subject claim: scheme is missing or invalid',
    ],
    [
      'a trust domain without a bundle',
      () => signJwt(claims({ sub: 'spiffe://b/a' }), key),
      'bundle_missing',
      'jwtsvid: no bundle found for trust domain "b"',
    ],
    [
      'an unknown key',
      () => signJwt(claims(), createJwtKey('who "me"')),
      'authority_missing',
      'jwtsvid: no JWT authority "who \\"me\\"" found for trust domain "example.org"',
    ],
    [
      'a key of another type',
      () => signJwt(claims(), { ...createJwtKey('r', 'RS256'), kid: key.kid }),
      'alg_not_of_key',
      'jwtsvid: unable to get claims from token: algorithm RS256 does not fit JWT authority "authority-1"',
    ],
    [
      'a forged signature',
      () => signJwt(claims(), createJwtKey('authority-1')),
      'invalid_signature',
      'jwtsvid: unable to get claims from token: go-jose/go-jose: error in cryptographic primitive',
    ],
    [
      'another audience',
      () => signJwt(claims({ aud: ['x', 'y"\n'] }), key),
      'wrong_audience',
      'jwtsvid: expected audience in ["me"] (audience=["x" "y\\"\\n"])',
    ],
    [
      'no audience',
      () => signJwt(claims({ aud: undefined }), key),
      'wrong_audience',
      'jwtsvid: expected audience in ["me"] (audience=[])',
    ],
    [
      'a token that is not valid yet',
      () => signJwt(claims({ nbf: seconds + 61 }), key),
      'not_yet_valid',
      'go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)',
    ],
    [
      'an expired token',
      () => signJwt(claims({ exp: seconds - 61 }), key),
      'expired',
      'jwtsvid: token has expired',
    ],
    [
      'a token issued in the future',
      () => signJwt(claims({ iat: seconds + 61 }), key),
      'issued_in_future',
      'go-jose/go-jose/jwt: validation field, token issued in the future (iat)',
    ],
  ]
  it.each(rejections)('rejects %s', (_name, token, code, message) => {
    expect(() => validate(token())).toThrow(expect.objectContaining({ name: 'JwtSvidError', code, message }))
  })

  it('tolerates clock skew of a minute, or the given leeway', () => {
    const late = signJwt(claims({ exp: seconds - 60, nbf: seconds + 60, iat: seconds + 60 }), key)
    expect(validate(late).id.path).toBe('/a')
    expect(() => parseAndValidate(late, bundles, 'me', { clock, leewaySeconds: 0 })).toThrow(
      'token not valid yet (nbf)',
    )
  })

  it('accepts times with a fraction', () => {
    expect(validate(signJwt(claims({ exp: seconds + 0.9 }), key)).expiresAt).toBe(NOW)
  })

  it('requires an audience, without which other libraries accept any', () => {
    const token = signJwt(claims(), key)
    for (const nothing of [[], '', ['']]) expect(() => validate(token, nothing)).toThrow(TypeError)
  })

  it.each([
    [
      'an unknown trust domain',
      () => signJwt(claims({ sub: 'spiffe://b/a' }), key),
      'no keys found for trust domain "b"',
    ],
    [
      'an unknown key',
      () => signJwt(claims(), createJwtKey('k2')),
      'public key "k2" not found in trust domain "example.org"',
    ],
    ['anything else', () => signJwt(claims({ exp: 1 }), key), 'token has expired'],
  ])('has the message of SPIRE for %s', (_, token, spireMessage) => {
    expect(() => parseAndValidate(token(), bundles, 'me', { clock })).toThrow(
      expect.objectContaining({ spireMessage }),
    )
  })

  it('tries every key that fits if the token names none', () => {
    const second = createJwtKey('second')
    const several = JwtBundle.ofJwks('example.org', jwks([createJwtKey('r', 'RS256'), key, second]))
    const nameless = { kid: undefined }
    expect(parseAndValidate(signJwt(claims(), second, nameless), several, 'me', { clock }).id.path).toBe('/a')
    expect(() =>
      parseAndValidate(signJwt(claims(), createJwtKey('x'), nameless), several, 'me', { clock }),
    ).toThrow(expect.objectContaining({ code: 'invalid_signature' }))
    expect(() =>
      parseAndValidate(signJwt(claims(), createJwtKey('x', 'ES384'), nameless), several, 'me', { clock }),
    ).toThrow('jwtsvid: no JWT authority for algorithm ES384 found for trust domain "example.org"')
  })

  it('uses a key only with the algorithm that its set names', () => {
    const rsa = createJwtKey('rsa', 'RS256')
    const set = jwks([rsa])
    const bound = JwtBundle.ofJwks('example.org', { keys: set.keys.map((jwk) => ({ ...jwk, alg: 'PS256' })) })
    expect(() => parseAndValidate(signJwt(claims(), rsa), bound, 'me', { clock })).toThrow(
      expect.objectContaining({ code: 'alg_not_of_key' }),
    )
    expect(
      parseAndValidate(signJwt(claims(), { ...rsa, alg: 'PS256' }), bound, 'me', { clock }).id.path,
    ).toBe('/a')
  })

  it('never uses a key that a token contains', () => {
    const own = createJwtKey('own')
    const jwk = own.publicKey.export({ format: 'jwk' })
    expect(() => validate(signJwt(claims(), own, { jwk, jku: 'https://evil.test', kid: key.kid }))).toThrow(
      expect.objectContaining({ code: 'invalid_signature' }),
    )
  })
})

describe('cachedValidator', () => {
  it('checks everything except a known signature again, each time', () => {
    let now = NOW
    let current = bundles
    const validate = cachedValidator({ getJwtBundle: (td) => current.getJwtBundle(td) }, 'me', {
      clock: () => now,
    })
    const token = signJwt(claims(), key)
    for (let times = 0; times < 3; times++) expect(validate(token).id.path).toBe('/a')
    const [header, payload, signature] = token.split('.') as [string, string, string]
    const [, forged] = signJwt(claims({ sub: 'spiffe://example.org/admin' }), key).split('.')
    const flipped = `${signature.slice(0, 9)}${signature[9] === 'A' ? 'B' : 'A'}${signature.slice(10)}`
    for (const wrong of [`${header}.${forged}.${signature}`, `${header}.${payload}.${flipped}`])
      for (let times = 0; times < 2; times++)
        expect(() => validate(wrong)).toThrow(expect.objectContaining({ code: 'invalid_signature' }))
    now = NOW + 361_000
    expect(() => validate(token)).toThrow('token has expired')
    now = NOW
    current = new JwtBundleSet([JwtBundle.ofJwks('example.org', jwks([createJwtKey('authority-1')]))])
    expect(() => validate(token)).toThrow(expect.objectContaining({ code: 'invalid_signature' }))
    current = new JwtBundleSet([])
    expect(() => validate(token)).toThrow(expect.objectContaining({ code: 'bundle_missing' }))
    current = bundles
    expect(validate(token).id.path).toBe('/a')
  })
})

describe('parseInsecure', () => {
  it('checks everything except the signature', () => {
    const stranger = createJwtKey('stranger')
    expect(parseInsecure(signJwt(claims(), stranger), 'me', { clock }).id.path).toBe('/a')
    expect(() => parseInsecure(signJwt(claims({ exp: seconds - 61 }), stranger), 'me', { clock })).toThrow(
      'token has expired',
    )
    expect(() => parseInsecure(signJwt(claims(), stranger), 'you', { clock })).toThrow(
      'expected audience in ["you"]',
    )
  })
})
