import type { KeyObject } from 'node:crypto'
import { type Algorithm, isAlgorithm, SCHEMES, type SignatureAlgorithm } from './algorithms.ts'

export type KeyErrorReason = 'invalid_key' | 'private_key' | 'weak_key' | 'alg_mismatch'

/** Reports a key that must not be used. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly reason: KeyErrorReason

  constructor(reason: KeyErrorReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048
/** Verifying with a 16384-bit key takes milliseconds; an issuer must not be able to slow its verifiers down like that. */
const MAX_RSA_BITS = 8192

/** The primes that identify a ROCA modulus: all its residues are powers of 65537 (Nemec et al., CCS 2017, §2.3). */
const ROCA_PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]

function hasRocaFingerprint(key: KeyObject): boolean {
  const { n = '' } = key.export({ format: 'jwk' })
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)
  return ROCA_PRIMES.every((prime) => powersOf65537(prime).has(Number(modulus % BigInt(prime))))
}

function powersOf65537(prime: number): Set<number> {
  const powers = new Set<number>()
  for (let power = 1; !powers.has(power); power = (power * 65_537) % prime) powers.add(power)
  return powers
}

/**
 * Checks that a key fits its algorithm and is strong enough (RFC 7518 §3.3–3.5, RFC 8037 §3.1).
 * @throws {KeyError} `alg_mismatch` if the algorithm needs another type or curve, `weak_key` if the key is insecure.
 */
export function assertKeyFits(key: KeyObject, alg: Algorithm): void {
  if (!isAlgorithm(alg)) throw new KeyError('alg_mismatch', `Unknown algorithm ${String(alg)}.`)
  if (!fits(key, alg)) throw new KeyError('alg_mismatch', `${alg} needs ${keyWords(alg)}.`)
  if (key.asymmetricKeyType !== 'rsa') return
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  assertStrongRsa(key, modulusLength, publicExponent)
}

function keyWords(alg: Algorithm): string {
  const { kty, crv } = SCHEMES[alg]
  return kty === 'EC' ? `a key on ${crv}` : `an ${crv ?? kty} key`
}

/** Tests whether a key has the type and curve that an algorithm needs (RFC 7518 §3). Does not check its strength. */
export function fits(key: KeyObject, alg: SignatureAlgorithm): boolean {
  const { keyType, namedCurve } = SCHEMES[alg]
  if (key.asymmetricKeyType !== keyType) return false
  return namedCurve === undefined || key.asymmetricKeyDetails?.namedCurve === namedCurve
}

function assertStrongRsa(key: KeyObject, bits: number, exponent: bigint): void {
  if (bits < MIN_RSA_BITS)
    throw new KeyError('weak_key', `An RSA key needs at least ${MIN_RSA_BITS} bits; this one has ${bits}.`)
  if (bits > MAX_RSA_BITS)
    throw new KeyError('weak_key', `An RSA key must have at most ${MAX_RSA_BITS} bits; this one has ${bits}.`)
  if (exponent < 3n || exponent % 2n === 0n)
    throw new KeyError(
      'weak_key',
      `The RSA public exponent ${exponent} is insecure; it must be odd and at least 3.`,
    )
  if (hasRocaFingerprint(key))
    throw new KeyError(
      'weak_key',
      'The RSA key has the fingerprint of CVE-2017-15361 (ROCA): it can be factored.',
    )
}
