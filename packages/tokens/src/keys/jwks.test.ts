import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import {
  ALGORITHMS,
  exportPublicPem,
  KeySetError,
  parseJwks,
  publicJwk,
  publicJwks,
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
  it.each<[string, () => object]>([
    ['for encryption', () => ({ ...rsaJwk(), use: 'enc' })],
    ['for another purpose', () => ({ ...rsaJwk(), use: 'x509-svid' })],
    ['for other operations', () => ({ ...rsaJwk(), key_ops: ['encrypt'] })],
    ['of an unknown type', () => ({ kty: 'AKP', alg: 'ML-DSA-65', kid: 'pq', pub: 'AAAA' })],
    ['of an unsupported algorithm', () => ({ ...rsaJwk(), alg: 'RS512' })],
    ['for key wrapping', () => ({ ...rsaJwk(), alg: 'RSA-OAEP' })],
    ['on another curve', () => ({ kty: 'EC', crv: 'P-384', x: 'AAAA', y: 'AAAA' })],
    ['for key agreement', () => ({ kty: 'OKP', crv: 'X25519', x: okpJwk().x })],
  ])('%s is skipped', (_, jwk) => {
    expect(parseJwks({ keys: [jwk(), ecJwk()] }).map(({ kid }) => kid)).toEqual(['key-ES256'])
  })

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
    expect(parseJwks({ keys: [jwk] })).toEqual([])
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

describe('a key set is rejected as a whole', () => {
  it.each<[string, () => unknown, string, string | RegExp]>([
    ['when it is not an object', () => [], 'not_a_key_set', /array of keys/],
    ['when it is null', () => null, 'not_a_key_set', /array of keys/],
    ['when it is a string', () => '{"keys":[]}', 'not_a_key_set', /array of keys/],
    ['without keys', () => ({}), 'not_a_key_set', /array of keys/],
    ['when a key is not an object', () => ({ keys: [null] }), 'not_a_key_set', /array of keys/],
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
    [
      'with two keys of the same kid',
      () => ({ keys: [rsaJwk(), { ...ecJwk(), kid: rsaJwk().kid }] }),
      'duplicate_kid',
      'Two keys of the set have the kid key-RS256.',
    ],
    [
      'with a number as kid',
      () => ({ keys: [{ ...rsaJwk(), kid: 5 }] }),
      'invalid_kid',
      /1 to 256 characters/,
    ],
    ['with an empty kid', () => ({ keys: [{ ...rsaJwk(), kid: '' }] }), 'invalid_kid', /1 to 256 characters/],
    [
      'with a very long kid',
      () => ({ keys: [{ ...rsaJwk(), kid: 'k'.repeat(257) }] }),
      'invalid_kid',
      /1 to 256 characters/,
    ],
    [
      'with RSA of 1024 bits',
      () => ({ keys: [weakRsa(1024)] }),
      'weak_key',
      'An RSA key needs at least 2048 bits; this one has 1024.',
    ],
    [
      'with RSA of 16384 bits',
      () => ({ keys: [{ ...rsaJwk(), n: Buffer.alloc(2048, 0xff).toString('base64url') }] }),
      'weak_key',
      'An RSA key must have at most 8192 bits; this one has 16384.',
    ],
    [
      'with the exponent 1',
      () => ({ keys: [{ ...rsaJwk(), e: 'AQ' }] }),
      'weak_key',
      'The RSA public exponent 1 is insecure; it must be odd and at least 3.',
    ],
    [
      'with an even exponent',
      () => ({ keys: [{ ...rsaJwk(), e: 'AQAA' }] }),
      'weak_key',
      'The RSA public exponent 65536 is insecure; it must be odd and at least 3.',
    ],
    ['with a ROCA modulus', () => ({ keys: [{ ...rsaJwk(), n: rocaModulus() }] }), 'weak_key', /ROCA/],
    [
      'with padding',
      () => ({ keys: [{ ...rsaJwk(), e: 'AQAB==' }] }),
      'invalid_key',
      'The member e of a key is not base64url (RFC 7518 §6).',
    ],
    [
      'with a point that is not on the curve',
      () => ({ keys: [{ ...ecJwk(), y: ecJwk().x }] }),
      'invalid_key',
      'A key of the set cannot be read.',
    ],
    [
      'with a coordinate missing',
      () => ({ keys: [{ ...ecJwk(), y: undefined }] }),
      'invalid_key',
      'A key of the set cannot be read.',
    ],
    [
      'with an Ed25519 key of 31 bytes',
      () => ({ keys: [{ ...okpJwk(), x: Buffer.alloc(31).toString('base64url') }] }),
      'invalid_key',
      'A key of the set cannot be read.',
    ],
    [
      'with an RSA key that claims ES256',
      () => ({ keys: [{ ...rsaJwk(), alg: 'ES256' }] }),
      'alg_mismatch',
      'ES256 needs a key on P-256.',
    ],
    [
      'with an EC key that claims RS256',
      () => ({ keys: [{ ...ecJwk(), alg: 'RS256' }] }),
      'alg_mismatch',
      'RS256 needs an RSA key.',
    ],
  ])('%s', (_, json, reason, message) => {
    const read = () => parseJwks(json())
    expect(read).toThrow(KeySetError)
    expect(read).toThrow(message)
    expect(read).toThrow(expect.objectContaining({ reason }))
  })
})
