import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto'
import { SCHEMES, type SignatureAlgorithm, type SignatureScheme } from '../keys/algorithms.ts'
import type { SigningKey } from '../keys/keys.ts'

/** Cached because generating an RSA pair takes 50–300 ms; only in memory, per process. */
const pairs = new Map<string, KeyPairKeyObjectResult>()

/**
 * Returns the test key pair with this name, and generates it on first use. All RSA algorithms share a pair. Tests of key
 * generation use `generateSigningKey` instead.
 * @param name also the `kid`.
 */
export function testKey<A extends SignatureAlgorithm>(alg: A, name: string): SigningKey<A> {
  const scheme: SignatureScheme = SCHEMES[alg]
  const id = `${scheme.crv ?? scheme.kty} ${name}`
  const pair = pairs.get(id) ?? makePair(scheme)
  pairs.set(id, pair)
  return { kid: name, alg, ...pair }
}

function makePair({ keyType, namedCurve = '' }: SignatureScheme): KeyPairKeyObjectResult {
  if (keyType === 'ec') return generateKeyPairSync('ec', { namedCurve })
  if (keyType === 'ed25519') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

/** Returns the claims without those that are undefined, for tests that leave one out: signToken rejects them. */
export const presentClaims = (claims: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
