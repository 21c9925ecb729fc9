import type { KeyObject } from 'node:crypto'
import { SCHEMES, type SignatureAlgorithm, type SignatureScheme } from './algorithms.ts'
import { assertStrongEd25519 } from './ed25519-strength.ts'
import { KeyError } from './key-error.ts'
import { assertStrongRsa } from './rsa-strength.ts'

/**
 * Checks that a key fits its algorithm and is strong enough (RFC 7518 §3.3–3.5, RFC 8037 §3.1, RFC 8725 §3.4).
 * @throws {KeyError} as {@link assertFits} and {@link assertStrong} do
 */
export function assertKeyFits(key: KeyObject, alg: SignatureAlgorithm): void {
  assertFits(key, alg)
  assertStrong(key)
}

/**
 * Checks that a key has the type and curve that its algorithm needs.
 * @throws {KeyError} `alg_mismatch`
 */
export function assertFits(key: KeyObject, alg: SignatureAlgorithm): void {
  if (!Object.hasOwn(SCHEMES, alg)) throw new KeyError('alg_mismatch', `Unknown algorithm ${String(alg)}.`)
  if (!fits(key, alg)) throw new KeyError('alg_mismatch', `${alg} needs ${keyWords(alg)}.`)
}

/**
 * Checks that a key can protect a signature: RSA numbers and Ed25519 points that OpenSSL accepts but that anyone can sign for.
 * OpenSSL itself checks that a point of a NIST curve is on it.
 * @throws {KeyError} `weak_key` if the key is insecure, `invalid_key` if it is not a point
 */
export function assertStrong(key: KeyObject): void {
  if (key.asymmetricKeyType === 'rsa') assertStrongRsa(key)
  if (key.asymmetricKeyType === 'ed25519') assertStrongEd25519(key)
}

function keyWords(alg: SignatureAlgorithm): string {
  const { kty, crv }: SignatureScheme = SCHEMES[alg]
  return kty === 'EC' ? `a key on ${crv}` : `an ${crv ?? kty} key`
}

/** Tests whether a key has the type and curve that an algorithm needs (RFC 7518 §3). Does not check its strength. */
export function fits(key: KeyObject, alg: SignatureAlgorithm): boolean {
  const { keyType, namedCurve }: SignatureScheme = SCHEMES[alg]
  if (key.asymmetricKeyType !== keyType) return false
  return namedCurve === undefined || key.asymmetricKeyDetails?.namedCurve === namedCurve
}
