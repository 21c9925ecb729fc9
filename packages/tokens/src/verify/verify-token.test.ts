import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  anySubject,
  type Claims,
  optionalSubject,
  type SigningKey,
  signToken,
  staticKeys,
  TokenError,
  type VerificationRules,
  verifyToken,
} from '../index.ts'
import { forgeToken, testKey } from '../testing.ts'

const ISSUER = 'https://issuer/'
const NOW = 1_800_000_000
const claims = { iss: ISSUER, aud: 'serviceb', sub: 'servicea' }

const keys: Record<string, SigningKey> = {}
beforeAll(async () => {
  for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) keys[alg] = testKey(alg, `key-${alg}`)
})
const keyOf = (alg: string) => keys[alg] as SigningKey

const rules = (change: object = {}): VerificationRules =>
  ({
    issuer: ISSUER,
    audience: 'serviceb',
    subject: 'servicea',
    keys: staticKeys(ISSUER, Object.values(keys)),
    maxLifetimeSeconds: 300,
    clock: () => NOW * 1000,
    ...change,
  }) as VerificationRules

/** Makes a token of the EdDSA key with these members changed; `undefined` omits one. */
function token(members: Claims = {}, header: object = {}): string {
  const key = keyOf('EdDSA')
  return forgeToken({
    header: { alg: 'EdDSA', typ: 'JWT', kid: key.kid, ...header },
    claims: { ...claims, exp: NOW + 60, iat: NOW, ...members },
    key,
    alg: 'EdDSA',
  })
}

const reasonOf = async (text: string, change: object = {}) =>
  verifyToken(text, rules(change)).then(
    () => 'accepted',
    (error: TokenError) => error.reason,
  )

describe('a valid token', () => {
  it('is returned with its header, its claims, and every check that it passed', async () => {
    const { header, claims: verified, checks } = await verifyToken(token({ nbf: NOW }), rules())
    expect(header).toEqual({ alg: 'EdDSA', typ: 'JWT', kid: 'key-EdDSA' })
    expect(verified).toEqual({ ...claims, exp: NOW + 60, iat: NOW, nbf: NOW })
    expect(checks).toEqual(
      [
        ['form', 'RFC 7515 §7.1'],
        ['algorithm', 'RFC 8725 §3.1'],
        ['signed', 'RFC 8725 §3.2'],
        ['critical', 'RFC 7515 §4.1.11'],
        ['embedded key', 'RFC 8725 §3.10'],
        ['type', 'RFC 8725 §3.11'],
        ['issuer', 'RFC 7519 §4.1.1'],
        ['key', 'RFC 8725 §3.8'],
        ['signature', 'RFC 7515 §5.2'],
        ['not before', 'RFC 7519 §4.1.5'],
        ['expiry', 'RFC 7519 §4.1.4'],
        ['audience', 'RFC 7519 §4.1.3'],
        ['subject', 'RFC 7519 §4.1.2'],
        ['issued at', 'RFC 7519 §4.1.6'],
        ['lifetime', 'RFC 9068 §2.2'],
      ].map(([name, rule]) => ({ name, rule, passed: true })),
    )
  })

  it.each<[string, Claims, object]>([
    ['without iat', { iat: undefined }, {}],
    ['with fractions of seconds', { exp: NOW + 0.25, iat: NOW - 0.5, nbf: NOW - 0.125 }, {}],
    ['in its last millisecond', { exp: NOW + 0.001 }, {}],
    ['with the maximum lifetime', { exp: NOW + 300 }, {}],
    ['of type at+jwt', {}, { typ: 'at+jwt' }],
    ['whose type differs in case and prefix', {}, { typ: 'application/AT+JWT' }],
    ['without a type', {}, { typ: undefined }],
    ['that calls its algorithm Ed25519', {}, { alg: 'Ed25519' }],
    ['without a kid, if only one key fits', {}, { kid: undefined }],
    ['with unknown members', { x: { y: [1, null, 'z'] } }, { x5t: 'AAAA', x: 1, b64: true }],
  ])('%s is accepted', async (_, members, header) => {
    expect(await reasonOf(token(members, header))).toBe('accepted')
  })
})

describe('the signature of a token', () => {
  it('has a second valid form on P-256, so tokens must be identified by jti', async () => {
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
    const good = await signToken(claims, keyOf('ES256'), { lifetimeSeconds: 60, clock: () => NOW * 1000 })
    const [header, payload, signature = ''] = good.split('.')
    const bytes = Buffer.from(signature, 'base64url')
    const s = order - BigInt(`0x${bytes.toString('hex', 32)}`)
    bytes.write(s.toString(16).padStart(64, '0'), 32, 'hex')
    const twin = `${header}.${payload}.${bytes.toString('base64url')}`
    expect(twin).not.toBe(good)
    expect(await reasonOf(twin)).toBe('accepted')
  })
})

describe('a rejection', () => {
  const refused = async (text: string, change: object = {}) => {
    const error = await verifyToken(text, rules(change)).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TokenError)
    return error as TokenError
  }

  it('of an expired token contains when it expired, as the documented response does', async () => {
    const error = await refused(token({ exp: NOW - 4 }))
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'TokenExpiredError',
      message: 'jwt expired',
      expiredAt: '2027-01-15T07:59:56.000Z',
    })
    expect(error.checks.at(-1)).toEqual({
      name: 'expiry',
      passed: false,
      rule: 'RFC 7519 §4.1.4',
      detail: '4 s ago',
    })
  })

  it('of a token that is not active yet contains when it becomes valid', async () => {
    expect(JSON.parse(JSON.stringify(await refused(token({ nbf: NOW + 4 }))))).toEqual({
      name: 'NotBeforeError',
      message: 'jwt not active',
      date: '2027-01-15T08:00:04.000Z',
    })
  })

  it('of any other token has only a name and a message', async () => {
    const error = await refused(token({ aud: 'servicec' }))
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'JsonWebTokenError',
      message: 'jwt audience invalid. expected: serviceb',
    })
    expect(error.reason).toBe('audience_mismatch')
  })

  it('lists the checks up to the one that failed', async () => {
    const { checks } = await refused(token({ aud: ['serviceb'] }))
    expect(checks.map(({ name, passed }) => `${name} ${passed}`).slice(-4)).toEqual([
      'key true',
      'signature true',
      'expiry true',
      'audience false',
    ])
    expect(checks.at(-1)?.detail).toBe('a list')
  })
})

describe('rules', () => {
  it('can list several issuers, each with its own keys', async () => {
    const ours = staticKeys(ISSUER, [keyOf('EdDSA')])
    const theirs = staticKeys('https://theirs/', [keyOf('ES256')])
    const both = {
      issuer: [ISSUER, 'https://theirs/'],
      keys: ((iss, kid, alg) => ours(iss, kid, alg) ?? theirs(iss, kid, alg)) as VerificationRules['keys'],
    }
    expect(await reasonOf(token(), both)).toBe('accepted')
    // AL-18: our key signs a token in the name of the other issuer.
    expect(await reasonOf(token({ iss: 'https://theirs/' }), both)).toBe('key_unknown')
    expect(await reasonOf(token({ iss: 'https://nobody/' }), both)).toBe('issuer_mismatch')
    const good = await signToken({ ...claims, iss: 'https://theirs/' }, keyOf('ES256'), {
      lifetimeSeconds: 60,
      clock: () => NOW * 1000,
    })
    expect(await reasonOf(good, both)).toBe('accepted')
  })

  it('can accept a list of its own audience alone', async () => {
    const single = { audienceList: 'single' }
    expect(await reasonOf(token({ aud: ['serviceb'] }), single)).toBe('accepted')
    expect(await reasonOf(token({ aud: 'serviceb' }), single)).toBe('accepted')
    expect(await reasonOf(token({ aud: ['serviceb', 'serviceb'] }), single)).toBe('audience_not_single')
    expect(await reasonOf(token({ aud: [] }), single)).toBe('audience_not_single')
    expect(await reasonOf(token({ aud: ['servicec'] }), single)).toBe('audience_mismatch')
    expect(await reasonOf(token({ aud: ['serviceb'] }))).toBe('audience_not_single')
  })

  it('can accept a list of audiences', async () => {
    const contains = { audienceList: 'contains' }
    expect(await reasonOf(token({ aud: ['servicec', 'serviceb'] }), contains)).toBe('accepted')
    expect(await reasonOf(token({ aud: ['serviceb'] }), contains)).toBe('accepted')
    expect(await reasonOf(token({ aud: 'serviceb' }), contains)).toBe('accepted')
    expect(await reasonOf(token({ aud: ['servicec'] }), contains)).toBe('audience_mismatch')
    expect(await reasonOf(token({ aud: [] }), contains)).toBe('audience_mismatch')
    expect(await reasonOf(token({ aud: [['serviceb']] }), contains)).toBe('audience_mismatch')
    expect(await reasonOf(token({ aud: ['serviceb', 5] }), contains)).toBe('audience_mismatch')
  })

  it('can accept any subject, or none', async () => {
    expect(await reasonOf(token({ sub: 'anybody' }), { subject: anySubject })).toBe('accepted')
    expect(await reasonOf(token({ sub: undefined }), { subject: anySubject })).toBe('subject_missing')
    expect(await reasonOf(token({ sub: '' }), { subject: anySubject })).toBe('subject_missing')
    expect(await reasonOf(token({ sub: 5 }), { subject: anySubject })).toBe('subject_missing')
    expect(await reasonOf(token({ sub: undefined }), { subject: optionalSubject })).toBe('accepted')
    expect(await reasonOf(token({ sub: 'anybody' }), { subject: optionalSubject })).toBe('accepted')
    expect(await reasonOf(token({ sub: 5 }), { subject: optionalSubject })).toBe('subject_missing')
  })

  it('can accept a token that never expires', async () => {
    const optional = { expiry: 'optional', maxLifetimeSeconds: undefined }
    expect(await reasonOf(token({ exp: undefined }), optional)).toBe('accepted')
    expect(await reasonOf(token({ exp: NOW + 1e9 }), optional)).toBe('accepted')
    expect(await reasonOf(token({ exp: NOW }), optional)).toBe('expired')
    expect(await reasonOf(token({ exp: 'never' }), optional)).toBe('expiry_malformed')
    expect(await reasonOf(token({ exp: NOW + 301 }), { expiry: 'optional' })).toBe('lifetime_too_long')
  })

  it('can tolerate clock skew up to the given leeway', async () => {
    const leeway = { leewaySeconds: 5 }
    expect(await reasonOf(token({ exp: NOW - 4.9 }), leeway)).toBe('accepted')
    expect(await reasonOf(token({ exp: NOW - 5 }), leeway)).toBe('expired')
    expect(await reasonOf(token({ nbf: NOW + 5 }), leeway)).toBe('accepted')
    expect(await reasonOf(token({ nbf: NOW + 5.1 }), leeway)).toBe('not_active_yet')
    expect(await reasonOf(token({ iat: NOW + 5 }), leeway)).toBe('accepted')
    expect(await reasonOf(token({ iat: NOW + 5.1 }), leeway)).toBe('issued_in_future')
    expect(await reasonOf(token({ iat: undefined, exp: NOW + 304 }), leeway)).toBe('accepted')
    expect(await reasonOf(token({ iat: undefined, exp: NOW + 306 }), leeway)).toBe('lifetime_too_long')
  })

  it('can require a single type', async () => {
    const access = { typ: ['at+jwt'] }
    expect(await reasonOf(token({}, { typ: 'at+jwt' }), access)).toBe('accepted')
    expect(await reasonOf(token({}, { typ: 'JWT' }), access)).toBe('typ_not_allowed')
    expect(await reasonOf(token({}, { typ: undefined }), access)).toBe('typ_not_allowed')
  })

  it('can ignore keys in the header of an external issuer, which are still never used', async () => {
    const overlooked = { embeddedKeys: 'ignored' }
    expect(await reasonOf(token({}, { jku: 'https://issuer/jwks' }))).toBe('embedded_key')
    expect(await reasonOf(token({}, { jku: 'https://issuer/jwks' }), overlooked)).toBe('accepted')
    const jwk = keyOf('ES256').publicKey.export({ format: 'jwk' })
    const forged = forgeToken({
      header: { alg: 'ES256', typ: 'JWT', kid: 'key-of-the-attacker', jwk },
      claims: { ...claims, exp: NOW + 60 },
      key: keyOf('ES256'),
      alg: 'ES256',
    })
    expect(await reasonOf(forged, overlooked)).toBe('key_unknown')
  })

  it('pass on the error of the source of keys, because the token is not at fault', async () => {
    const down = new Error('the issuer is down')
    const keys = () => Promise.reject(down)
    await expect(verifyToken(token(), rules({ keys }))).rejects.toBe(down)
  })

  it('restrict a key to its algorithm, whatever the source of keys returns', async () => {
    const keys = () => ({ ...keyOf('RS256'), kid: 'key-EdDSA' })
    expect(await reasonOf(token(), { keys })).toBe('alg_not_of_key')
  })

  it.each<[string, object, string]>([
    ['an issuer', { issuer: undefined }, 'The rules need an issuer.'],
    ['an issuer with a name', { issuer: '' }, 'The rules need an issuer.'],
    ['at least one issuer', { issuer: [] }, 'The rules need an issuer.'],
    ['issuers with names', { issuer: ['a', ''] }, 'The rules need an issuer.'],
    ['an audience', { audience: undefined }, 'The rules need an audience.'],
    ['an audience with a name', { audience: '' }, 'The rules need an audience.'],
    ['one audience', { audience: ['a', 'b'] }, 'The rules need an audience.'],
    ['a subject', { subject: undefined }, 'The rules need a subject, or anySubject.'],
    ['a subject with a name', { subject: '' }, 'The rules need a subject, or anySubject.'],
    ['keys', { keys: undefined }, 'The rules need keys.'],
    [
      'a maximum lifetime',
      { maxLifetimeSeconds: undefined },
      'The rules need a maxLifetimeSeconds greater than 0.',
    ],
    [
      'a positive maximum lifetime',
      { maxLifetimeSeconds: 0 },
      'The rules need a maxLifetimeSeconds greater than 0.',
    ],
    [
      'a maximum lifetime that is a number',
      { maxLifetimeSeconds: Number.NaN },
      'The rules need a maxLifetimeSeconds greater than 0.',
    ],
    ['a reasonable leeway', { leewaySeconds: 61 }, 'leewaySeconds must be between 0 and 60.'],
    ['a leeway that is not negative', { leewaySeconds: -1 }, 'leewaySeconds must be between 0 and 60.'],
    ['a leeway that is a number', { leewaySeconds: Number.NaN }, 'leewaySeconds must be between 0 and 60.'],
  ])('need %s', async (_, change, message) => {
    await expect(verifyToken(token(), rules(change))).rejects.toThrow(new TypeError(message))
  })

  it('need keys with different kids', () => {
    expect(() => staticKeys(ISSUER, [keyOf('EdDSA'), { ...keyOf('ES256'), kid: 'key-EdDSA' }])).toThrow(
      `Two keys of ${ISSUER} have the same kid.`,
    )
  })
})
