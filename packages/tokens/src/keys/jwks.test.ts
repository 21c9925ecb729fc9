import { checkPrimeSync, createPublicKey, generateKeyPairSync, generatePrimeSync, verify } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import {
  ALGORITHMS,
  algorithmsIn,
  algorithmsNamed,
  exportPublicPem,
  KeySetError,
  parseJwks,
  publicJwk,
  publicJwks,
  readKeySet,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type SigningKey,
  signToken,
} from '../index.ts'
import { testKey } from '../testing.ts'

const keys: SigningKey[] = []
beforeAll(async () => {
  for (const alg of ALGORITHMS) keys.push(testKey(alg, `key-${alg}`))
})

const rsaJwk = () => publicJwk(keys[0] as SigningKey)
const ecJwk = () => publicJwk(keys[2] as SigningKey)
const okpJwk = () => publicJwk(keys[3] as SigningKey)

describe('keys with one kid', () => {
  it('are one if they are the same', () => {
    expect(readKeySet({ keys: [rsaJwk(), rsaJwk()] })).toMatchObject({
      keys: [{ kid: 'key-RS256' }],
      unusable: [],
    })
  })

  it('are all left out if they differ, and the others are used', () => {
    const other = { ...ecJwk(), kid: rsaJwk().kid }
    const sister = { ...rsaJwk(), alg: 'PS256' }
    for (const twin of [other, sister])
      expect(readKeySet({ keys: [rsaJwk(), okpJwk(), twin] })).toMatchObject({
        keys: [{ kid: 'key-EdDSA' }],
        unusable: [
          {
            index: 0,
            kid: 'key-RS256',
            reason: 'duplicate_kid',
            message: 'Another key of the set has the same kid.',
          },
          {
            index: 2,
            kid: 'key-RS256',
            reason: 'duplicate_kid',
            message: 'Another key of the set has the same kid.',
          },
        ],
      })
    expect(() => readKeySet({ keys: [rsaJwk(), other] })).toThrow(
      expect.objectContaining({ reason: 'no_usable_key' }),
    )
  })
})

describe('the accepted algorithms', () => {
  it('are those of a configured list', () => {
    expect(algorithmsNamed(['RS512', 'Ed25519', 'EdDSA'])).toEqual(['RS512', 'EdDSA'])
    expect(() => algorithmsNamed(['RS256', 'HS256'])).toThrow(
      'HS256 is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA',
    )
    expect(() => algorithmsNamed([])).toThrow('must be one or more of RS256, RS384')
    expect(algorithmsIn(' RS512, ES384,')).toEqual(['RS512', 'ES384'])
    expect(() => algorithmsIn(' , ')).toThrow('must be one or more of RS256, RS384')
  })

  it.each(SIGNATURE_ALGORITHMS)('include %s if the list has it', (alg) => {
    const jwks = publicJwks([testKey(alg, 'k')])
    expect(parseJwks(jwks, { algorithms: [alg] })).toMatchObject([{ kid: 'k', alg }])
  })

  it('decide what a key without alg is used with', () => {
    const { alg: _, ...jwk } = publicJwk(testKey('RS256', 'k'))
    const algOf = (algorithms?: readonly SignatureAlgorithm[]) =>
      parseJwks({ keys: [jwk] }, { algorithms })[0]?.alg
    expect(algOf()).toBe('RS256')
    expect(algOf(SIGNATURE_ALGORITHMS)).toBe('RS256')
    expect(algOf(['RS512', 'RS256'])).toBe('RS512')
    expect(() => algOf(['ES256'])).toThrow('No supported algorithm uses the key type "RSA".')
  })
})

describe('a published key set', () => {
  it('has only public members', () => {
    const { keys: published } = publicJwks(keys)
    expect(published.map((jwk) => Object.keys(jwk).sort())).toEqual([
      ['alg', 'e', 'kid', 'kty', 'n', 'use'],
      ['alg', 'e', 'kid', 'kty', 'n', 'use'],
      ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'],
      ['alg', 'crv', 'kid', 'kty', 'use', 'x'],
    ])
  })

  it('survives a round trip through JSON', () => {
    const read = parseJwks(JSON.parse(JSON.stringify(publicJwks(keys))))
    expect(read.map(({ kid, alg }) => ({ kid, alg }))).toEqual(keys.map(({ kid, alg }) => ({ kid, alg })))
    for (const [index, key] of read.entries())
      expect(key.publicKey.equals((keys[index] as SigningKey).publicKey)).toBe(true)
  })

  it('lets jose verify our tokens', async () => {
    const set = createLocalJWKSet(publicJwks(keys))
    for (const key of keys) {
      const token = await signToken({ iss: 'i', aud: 'a', sub: 's' }, key, { lifetimeSeconds: 60 })
      const { payload, protectedHeader } = await jwtVerify(token, set, {
        issuer: 'i',
        audience: 'a',
        subject: 's',
      })
      expect(payload).toMatchObject({ iss: 'i', aud: 'a', sub: 's' })
      expect(protectedHeader).toEqual({ alg: key.alg, typ: 'JWT', kid: key.kid })
    }
  })

  it('lets jsonwebtoken verify our tokens', async () => {
    for (const key of keys.filter(({ alg }) => alg !== 'EdDSA')) {
      const token = await signToken({ iss: 'i', aud: 'a', sub: 's' }, key, { lifetimeSeconds: 60 })
      const claims = jsonwebtoken.verify(token, exportPublicPem(key), {
        algorithms: [key.alg as 'RS256'],
        issuer: 'i',
        audience: 'a',
        subject: 's',
      })
      expect(claims).toMatchObject({ iss: 'i', aud: 'a', sub: 's' })
    }
  })
})

describe('a key of a set', () => {
  it('without alg gets the algorithm of its type', () => {
    const without = [rsaJwk(), ecJwk(), okpJwk()].map(({ alg: _, ...jwk }) => jwk)
    expect(parseJwks({ keys: without }).map(({ alg }) => alg)).toEqual(['RS256', 'ES256', 'EdDSA'])
  })

  it('can use the newer name of EdDSA (RFC 9864)', () => {
    expect(parseJwks({ keys: [{ ...okpJwk(), alg: 'Ed25519' }] })).toMatchObject([{ alg: 'EdDSA' }])
  })

  it('without kid gets its thumbprint as key ID', () => {
    const { kid: _, ...jwk } = okpJwk()
    expect(parseJwks({ keys: [jwk] })[0]?.kid).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  it('can have a use that the caller allows', () => {
    const jwk = { ...rsaJwk(), use: 'jwt-svid' }
    expect(parseJwks({ keys: [jwk, ecJwk()] })).toHaveLength(1)
    expect(parseJwks({ keys: [jwk] }, { uses: ['jwt-svid'] })).toHaveLength(1)
  })
})

const weakRsa = (modulusLength: number, publicExponent = 65_537) =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey.export({ format: 'jwk' })

/** Makes a modulus with the fingerprint of CVE-2017-15361: every residue is a power of 65537, here 1. */
function rocaModulus(): string {
  const primes = Array.from({ length: 167 }, (_, n) => n + 1).filter(
    (n) => n > 2 && !Array.from({ length: n - 2 }, (_, d) => d + 2).some((d) => n % d === 0),
  )
  const product = primes.reduce((all, prime) => all * BigInt(prime), 2n)
  const modulus = product * ((1n << 2047n) / product + 1n) + 1n
  return Buffer.from(modulus.toString(16), 'hex').toString('base64url')
}

const base64urlOf = (number: bigint) => {
  const hex = number.toString(16)
  return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex').toString('base64url')
}
/** Encodes the y of an Ed25519 point and the sign of its x (RFC 8032 §5.1.2). */
const encoded = (y: bigint, sign = 0) =>
  Buffer.from((y + (BigInt(sign) << 255n)).toString(16).padStart(64, '0'), 'hex')
    .reverse()
    .toString('base64url')
const P = 2n ** 255n - 19n
const Y_OF_ORDER_8 =
  2_707_385_501_144_840_649_318_225_287_225_658_788_936_804_267_575_313_519_463_743_609_750_303_402_022n

/** A modulus of 2048 bits whose primes differ by little, as in CVE-2022-26320. */
function modulusOfClosePrimes(): bigint {
  const first = generatePrimeSync(1024, { bigint: true })
  let second = first + 2n
  while (!checkPrimeSync(second)) second += 2n
  return first * second
}

const okp = (x: string) => ({ ...okpJwk(), kid: 'bad', x })
const rsaOf = (changes: object) => ({ ...rsaJwk(), kid: 'bad', ...changes })
const exponent = (e: bigint) => rsaOf({ e: base64urlOf(e) })
const insecureExponent = (e: string) =>
  `The RSA public exponent ${e} is insecure; it must be odd, at least 3 and at most 2147483647.`
const SMALL_ORDER = 'The Ed25519 key is a point of small order: anyone can sign for it.'
const NO_POINT = 'The Ed25519 key is not the encoding of a point (RFC 8032 §5.1.3).'

describe('AL-27 a key that cannot verify tokens is left out', () => {
  it.each<[string, () => unknown, string, string | RegExp]>([
    ['for encryption', () => rsaOf({ use: 'enc' }), 'other_purpose', 'Its use is "enc", not sig.'],
    ['for another purpose', () => rsaOf({ use: 'x509-svid' }), 'other_purpose', /x509-svid/],
    ['with a list as use', () => rsaOf({ use: ['sig'] }), 'other_purpose', 'Its use is not a string.'],
    [
      'for other operations',
      () => rsaOf({ key_ops: ['encrypt'] }),
      'other_purpose',
      'Its key_ops do not include verify.',
    ],
    [
      'with key_ops that are no list',
      () => rsaOf({ key_ops: 'verify' }),
      'other_purpose',
      'Its key_ops do not include verify.',
    ],
    [
      'of an unknown type',
      () => ({ kty: 'AKP', alg: 'ML-DSA-65', kid: 'pq', pub: 'AAAA' }),
      'unsupported_algorithm',
      'The algorithm "ML-DSA-65" is not supported.',
    ],
    [
      'of an unknown type without alg',
      () => ({ kty: 'AKP', kid: 'pq', pub: 'AAAA' }),
      'unsupported_algorithm',
      'No supported algorithm uses the key type "AKP".',
    ],
    ['without type', () => ({ kid: 'none' }), 'unsupported_algorithm', /key type null/],
    ['with a number as type', () => ({ kty: 7 }), 'unsupported_algorithm', /key type 7/],
    [
      'of an unsupported algorithm',
      () => rsaOf({ alg: 'RS512' }),
      'unsupported_algorithm',
      'The algorithm "RS512" is not supported.',
    ],
    ['for key wrapping', () => rsaOf({ alg: 'RSA-OAEP' }), 'unsupported_algorithm', /RSA-OAEP/],
    [
      'on another curve',
      () => ({ kty: 'EC', crv: 'P-384', x: 'AAAA', y: 'AAAA' }),
      'unsupported_algorithm',
      'No supported algorithm uses the key type "EC" "P-384".',
    ],
    [
      'for key agreement',
      () => ({ kty: 'OKP', crv: 'X25519', x: okpJwk().x }),
      'unsupported_algorithm',
      /"X25519"/,
    ],
    [
      'for key agreement that claims EdDSA',
      () => ({ ...okp(okpJwk().x as string), crv: 'X25519' }),
      'alg_mismatch',
      'EdDSA needs an Ed25519 key.',
    ],
    [
      'on Ed448',
      () => ({ ...generateKeyPairSync('ed448').publicKey.export({ format: 'jwk' }), alg: 'EdDSA' }),
      'alg_mismatch',
      'EdDSA needs an Ed25519 key.',
    ],
    ['that is null', () => null, 'invalid_key', 'It is not a JSON object (RFC 7517 §4).'],
    ['that is a list', () => [ecJwk()], 'invalid_key', 'It is not a JSON object (RFC 7517 §4).'],
    ['with a number as kid', () => rsaOf({ kid: 5 }), 'invalid_kid', /1 to 256 characters/],
    ['with null as kid', () => rsaOf({ kid: null }), 'invalid_kid', /1 to 256 characters/],
    ['with an empty kid', () => rsaOf({ kid: '' }), 'invalid_kid', /1 to 256 characters/],
    ['with a very long kid', () => rsaOf({ kid: 'k'.repeat(257) }), 'invalid_kid', /1 to 256 characters/],
    [
      'RSA of 1024 bits',
      () => ({ ...weakRsa(1024), kid: 'bad' }),
      'weak_key',
      'An RSA key needs at least 2048 bits; this one has 1024.',
    ],
    [
      'RSA of 16384 bits',
      () => rsaOf({ n: Buffer.alloc(2048, 0xff).toString('base64url') }),
      'weak_key',
      'An RSA key must have at most 8192 bits; this one has 16384.',
    ],
    [
      'RSA of 32768 bits',
      () => rsaOf({ n: Buffer.alloc(4096, 0xff).toString('base64url') }),
      'invalid_key',
      'The member n is not base64url (RFC 7518 §6).',
    ],
    ['with the exponent 1', () => exponent(1n), 'weak_key', insecureExponent('1')],
    ['with an even exponent', () => exponent(65_536n), 'weak_key', insecureExponent('65536')],
    [
      'with an exponent of 32 bits',
      () => exponent(2n ** 31n + 1n),
      'weak_key',
      insecureExponent('2147483649'),
    ],
    [
      'with an exponent of 383 bytes',
      () => exponent(2n ** 3063n + 1n),
      'weak_key',
      insecureExponent(`${String(2n ** 3063n + 1n).slice(0, 40)}…`),
    ],
    [
      'with an even modulus',
      () =>
        rsaOf({
          n: base64urlOf(BigInt(`0x${Buffer.from(rsaJwk().n as string, 'base64url').toString('hex')}`) + 1n),
        }),
      'weak_key',
      'The RSA modulus is even, so everyone can factor it.',
    ],
    [
      'with a modulus that has a small factor',
      () => rsaOf({ n: base64urlOf(751n * generatePrimeSync(2046, { bigint: true })) }),
      'weak_key',
      'The RSA modulus is divisible by 751, so everyone can factor it.',
    ],
    ['with a ROCA modulus', () => rsaOf({ n: rocaModulus() }), 'weak_key', /ROCA/],
    [
      'with primes close to each other',
      () => rsaOf({ n: base64urlOf(modulusOfClosePrimes()) }),
      'weak_key',
      /CVE-2022-26320/,
    ],
    [
      'with the square of a prime',
      () => rsaOf({ n: base64urlOf(generatePrimeSync(1024, { bigint: true }) ** 2n) }),
      'weak_key',
      /CVE-2022-26320/,
    ],
    [
      'with a zero before its modulus',
      () =>
        rsaOf({
          n: Buffer.concat([Buffer.alloc(1), Buffer.from(rsaJwk().n as string, 'base64url')]).toString(
            'base64url',
          ),
        }),
      'invalid_key',
      'The member n begins with a zero byte (RFC 7518 §2).',
    ],
    [
      'with a zero before its exponent',
      () => rsaOf({ e: 'AAEAAQ' }),
      'invalid_key',
      'The member e begins with a zero byte (RFC 7518 §2).',
    ],
    ['with the exponent 0', () => rsaOf({ e: 'AA' }), 'invalid_key', /begins with a zero byte/],
    [
      'without exponent',
      () => rsaOf({ e: undefined }),
      'invalid_key',
      'The key cannot be read (RFC 7518 §6).',
    ],
    [
      'with a number as exponent',
      () => rsaOf({ e: 65_537 }),
      'invalid_key',
      'The member e is not base64url (RFC 7518 §6).',
    ],
    [
      'with padding',
      () => rsaOf({ e: 'AQAB==' }),
      'invalid_key',
      'The member e is not base64url (RFC 7518 §6).',
    ],
    [
      'with a point that is not on the curve',
      () => ({ ...ecJwk(), kid: 'bad', y: ecJwk().x }),
      'invalid_key',
      'The key cannot be read (RFC 7518 §6).',
    ],
    [
      'with the point (0, 0)',
      () => ({
        ...ecJwk(),
        kid: 'bad',
        x: Buffer.alloc(32).toString('base64url'),
        y: Buffer.alloc(32).toString('base64url'),
      }),
      'invalid_key',
      'The key cannot be read (RFC 7518 §6).',
    ],
    [
      'with a coordinate missing',
      () => ({ ...ecJwk(), kid: 'bad', y: undefined }),
      'invalid_key',
      'The key cannot be read (RFC 7518 §6).',
    ],
    [
      'with a coordinate of 33 bytes',
      () => ({
        ...ecJwk(),
        kid: 'bad',
        x: Buffer.concat([Buffer.alloc(1), Buffer.from(ecJwk().x as string, 'base64url')]).toString(
          'base64url',
        ),
      }),
      'invalid_key',
      'The member x must have 32 bytes, not 33.',
    ],
    [
      'with an Ed25519 key of 31 bytes',
      () => okp(Buffer.alloc(31, 7).toString('base64url')),
      'invalid_key',
      'The member x must have 32 bytes, not 31.',
    ],
    ...[0, 1].flatMap((sign) =>
      [1n, P - 1n, 0n, Y_OF_ORDER_8, P - Y_OF_ORDER_8, P, P + 1n].map(
        (y): [string, () => unknown, string, string] => [
          `with the Ed25519 point of small order ${encoded(y, sign)}`,
          () => okp(encoded(y, sign)),
          'weak_key',
          SMALL_ORDER,
        ],
      ),
    ),
    ['with an Ed25519 y above the prime', () => okp(encoded(P + 3n)), 'invalid_key', NO_POINT],
    ['with an Ed25519 y that is on no point', () => okp(encoded(2n)), 'invalid_key', NO_POINT],
    ['RSA that claims ES256', () => rsaOf({ alg: 'ES256' }), 'alg_mismatch', 'ES256 needs a key on P-256.'],
    [
      'EC that claims RS256',
      () => ({ ...ecJwk(), kid: 'bad', alg: 'RS256' }),
      'alg_mismatch',
      'RS256 needs an RSA key.',
    ],
  ])('%s', (_, jwk, reason, message) => {
    const bad = jwk()
    const { keys: usable, unusable } = readKeySet({ keys: [ecJwk(), bad, okpJwk()] })
    expect(usable.map(({ kid }) => kid)).toEqual(['key-ES256', 'key-EdDSA'])
    expect(unusable).toMatchObject([
      { index: 1, reason, message: typeof message === 'string' ? message : expect.stringMatching(message) },
    ])
    const { kid } = (bad ?? {}) as { readonly kid?: unknown }
    expect(unusable[0]?.kid).toBe(typeof kid === 'string' ? kid.slice(0, 64) : undefined)
    const alone = () => readKeySet({ keys: [bad] })
    expect(alone).toThrow(KeySetError)
    expect(alone).toThrow(expect.objectContaining({ reason: 'no_usable_key' }))
    expect(alone).toThrow(`The set has no usable key: key 1: ${unusable[0]?.message}`)
  })

  it('and the error of a set with nothing else describes five of them', () => {
    const sets = [...Array(7).fill(rsaOf({ use: 'enc' })), rsaOf({ kid: '' })]
    expect(() => parseJwks({ keys: sets })).toThrow(
      `The set has no usable key: ${[1, 2, 3, 4, 5].map((n) => `key ${n}: Its use is "enc", not sig`).join('; ')}; and 3 more.`,
    )
  })

  it('but an issuer may have no keys at all', () => {
    expect(parseJwks({ keys: [] })).toEqual([])
  })
})

describe('AL-27 keys that anyone can sign for', () => {
  it('verify a signature that was made without a private key, in OpenSSL', () => {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: encoded(1n) }, format: 'jwk' })
    // R is the neutral element too, and S is 0: [S]B = R + [k]A holds for every message.
    const forged = Buffer.concat([Buffer.from(encoded(1n), 'base64url'), Buffer.alloc(32)])
    expect(verify(null, Buffer.from('any message'), key, forged)).toBe(true)
  })

  it('are the fourteen encodings of points whose order divides 8', () => {
    const found = [0, 1].flatMap((sign) =>
      [1n, P - 1n, 0n, Y_OF_ORDER_8, P - Y_OF_ORDER_8, P, P + 1n].map((y) => encoded(y, sign)),
    )
    expect(new Set(found).size).toBe(14)
  })
})

describe('a key set is rejected as a whole', () => {
  it.each<[string, () => unknown, string, string | RegExp]>([
    ['when it is not an object', () => [], 'not_a_key_set', /array of keys/],
    ['when it is null', () => null, 'not_a_key_set', /array of keys/],
    ['when it is a string', () => '{"keys":[]}', 'not_a_key_set', /array of keys/],
    ['without keys', () => ({}), 'not_a_key_set', /array of keys/],
    [
      'with too many keys',
      () => ({ keys: Array(101).fill(rsaJwk()) }),
      'too_many_keys',
      'A key set must have at most 100 keys; this one has 101.',
    ],
    [
      'with a symmetric key',
      () => ({ keys: [rsaJwk(), { kty: 'oct', k: 'AAAA' }] }),
      'symmetric_key',
      /would let anyone sign/,
    ],
    ['with a private RSA key', () => ({ keys: [{ ...rsaJwk(), d: 'AAAA' }] }), 'private_key', /private part/],
    [
      'with a prime of an RSA key',
      () => ({ keys: [{ ...rsaJwk(), p: 'AAAA' }] }),
      'private_key',
      /private part/,
    ],
    [
      'with a private key for something else',
      () => ({ keys: [{ ...rsaJwk(), use: 'enc', d: 'AAAA' }] }),
      'private_key',
      /private part/,
    ],
  ])('%s', (_, json, reason, message) => {
    const read = () => parseJwks(json())
    expect(read).toThrow(KeySetError)
    expect(read).toThrow(message)
    expect(read).toThrow(expect.objectContaining({ reason }))
  })
})
