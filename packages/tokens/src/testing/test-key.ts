import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto'
import type { Algorithm } from '../keys/algorithms.ts'
import type { SigningKey } from '../keys/keys.ts'

/** Cached because generating an RSA pair takes 50–300 ms; only in memory, per process. */
const pairs = new Map<string, KeyPairKeyObjectResult>()

/**
 * Returns the test key pair with this name, and generates it on first use. RS256 and PS256 share a pair. Tests of key
 * generation use `generateSigningKey` instead.
 * @param name also the `kid`.
 */
export function testKey(alg: Algorithm, name: string): SigningKey {
  const type = alg === 'PS256' ? 'RS256' : alg
  const id = `${type} ${name}`
  const pair = pairs.get(id) ?? makePair(type)
  pairs.set(id, pair)
  return { kid: name, alg, ...pair }
}

function makePair(type: Exclude<Algorithm, 'PS256'>): KeyPairKeyObjectResult {
  if (type === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (type === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

/** Returns the claims without those that are undefined, for tests that leave one out: signToken rejects them. */
export const presentClaims = (claims: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
