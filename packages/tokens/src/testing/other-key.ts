import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Algorithm } from '../algorithms.ts'

/** Made once for each type: an RSA key takes its time. */
const otherKeys = new Map<string, KeyObject>()

export function otherKey(alg: Algorithm): KeyObject {
  const type = alg === 'PS256' ? 'RS256' : alg
  let key = otherKeys.get(type)
  if (!key) {
    key = makeKey(type)
    otherKeys.set(type, key)
  }
  return key
}

function makeKey(type: Algorithm): KeyObject {
  if (type === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  if (type === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}
