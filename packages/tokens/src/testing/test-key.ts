import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto'
import type { Algorithm } from '../keys/algorithms.ts'
import type { SigningKey } from '../keys/keys.ts'

/** An RSA pair takes 50–300 ms; kept only in memory, for the files that one process runs. */
const pairs = new Map<string, KeyPairKeyObjectResult>()

/**
 * Returns the key pair with this name for tests, and makes it when it is asked for the first time. RS256 and PS256 share
 * their pair. A test whose subject is the making of keys uses `generateSigningKey`.
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
