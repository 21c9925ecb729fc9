import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { calculateJwkThumbprint } from 'jose'
import {
  ALGORITHMS,
  type Algorithm,
  exportPrivatePem,
  exportPublicPem,
  generateSigningKey,
  importSigningKey,
  importVerificationKey,
  publicJwk,
  thumbprint,
} from '../index.ts'
import { settlesWithoutTheEventLoop } from '../testing/event-loop.ts'

const rsaPem = (bits: number, publicExponent = 65_537) =>
  generateKeyPairSync('rsa', { modulusLength: bits, publicExponent })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()

describe.each(ALGORITHMS)('a key for %s', (alg) => {
  it('gets its thumbprint as kid, as jose computes it', async () => {
    const key = await generateSigningKey(alg)
    expect(key.kid).toBe(await calculateJwkThumbprint(publicJwk(key) as never))
    expect(key.kid).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  it('survives a round trip through PEM', async () => {
    const key = await generateSigningKey(alg, 'a-name')
    const again = importSigningKey(exportPrivatePem(key), { alg, kid: 'a-name' })
    expect(again).toMatchObject({ kid: 'a-name', alg })
    expect(again.privateKey.equals(key.privateKey)).toBe(true)
    expect(again.publicKey.equals(key.publicKey)).toBe(true)
    const published = importVerificationKey(exportPublicPem(key), { alg })
    expect(published.publicKey.equals(key.publicKey)).toBe(true)
    expect(published.kid).toBe(thumbprint(key.publicKey))
    expect(published).not.toHaveProperty('privateKey')
  })

  it('is not generated on the calling thread', async () => {
    const key = generateSigningKey(alg)
    expect(await settlesWithoutTheEventLoop(key)).toBe(false)
    await key
  })
})

describe('a PEM', () => {
  it('can be PKCS#1 or SEC1, as older versions of openssl write them', async () => {
    const rsa = await generateSigningKey('RS256')
    const pkcs1 = rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    const publicPkcs1 = rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    expect(importSigningKey(pkcs1, { alg: 'RS256' }).kid).toBe(rsa.kid)
    expect(importVerificationKey(publicPkcs1, { alg: 'RS256' }).kid).toBe(rsa.kid)
    const ec = await generateSigningKey('ES256')
    const sec1 = ec.privateKey.export({ type: 'sec1', format: 'pem' }).toString()
    expect(importSigningKey(sec1, { alg: 'ES256' }).kid).toBe(ec.kid)
  })

  it.each([
    ['PRIVATE', importSigningKey],
    ['PUBLIC', importVerificationKey],
  ])('%s that cannot be read is rejected without being quoted', (kind, read) => {
    const pem = `-----BEGIN ${kind} KEY-----\nc2VjcmV0\n-----END ${kind} KEY-----`
    expect(thrownBy(() => read(pem, { alg: 'RS256' }))).toMatchObject({
      name: 'KeyError',
      reason: 'invalid_key',
      message: 'The key is not readable as PEM.',
    })
  })

  it('with a private key is rejected as verification key', async () => {
    const pem = exportPrivatePem(await generateSigningKey('ES256'))
    expect(thrownBy(() => importVerificationKey(pem, { alg: 'ES256' }))).toMatchObject({
      reason: 'private_key',
      message: 'A verifier must not hold a private key; give it the public one.',
    })
  })

  it.each<[string, () => string, Algorithm, string, string]>([
    [
      'an RSA key of 1024 bits',
      () => rsaPem(1024),
      'RS256',
      'weak_key',
      'An RSA key needs at least 2048 bits; this one has 1024.',
    ],
    [
      'an RSA key of 2040 bits',
      () => rsaPem(2040),
      'PS256',
      'weak_key',
      'An RSA key needs at least 2048 bits; this one has 2040.',
    ],
    ['an RSA key for ES256', () => rsaPem(2048), 'ES256', 'alg_mismatch', 'ES256 needs a key on P-256.'],
    ['an RSA key for EdDSA', () => rsaPem(2048), 'EdDSA', 'alg_mismatch', 'EdDSA needs an Ed25519 key.'],
    ['a P-256 key for RS256', () => ecPem('P-256'), 'RS256', 'alg_mismatch', 'RS256 needs an RSA key.'],
    ['a P-384 key for ES256', () => ecPem('P-384'), 'ES256', 'alg_mismatch', 'ES256 needs a key on P-256.'],
    [
      'a secp256k1 key for ES256',
      () => ecPem('secp256k1'),
      'ES256',
      'alg_mismatch',
      'ES256 needs a key on P-256.',
    ],
    ['a key for HS256', () => rsaPem(2048), 'HS256' as Algorithm, 'alg_mismatch', 'Unknown algorithm HS256.'],
  ])('with %s is rejected', (_, pem, alg, reason, message) => {
    const privatePem = pem()
    expect(thrownBy(() => importSigningKey(privatePem, { alg }))).toMatchObject({ reason, message })
    const publicPem = createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }).toString()
    expect(thrownBy(() => importVerificationKey(publicPem, { alg }))).toMatchObject({ reason, message })
  })
})

const ecPem = (namedCurve: string) =>
  generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

function thrownBy(action: () => unknown): Error {
  try {
    action()
  } catch (error) {
    return error as Error
  }
  throw new Error('Nothing was thrown.')
}
