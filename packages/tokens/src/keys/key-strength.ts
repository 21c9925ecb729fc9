import type { KeyObject } from 'node:crypto'
import { type Algorithm, isAlgorithm, SCHEMES, type SignatureAlgorithm } from './algorithms.ts'

export type KeyErrorReason = 'invalid_key' | 'private_key' | 'weak_key' | 'alg_mismatch'

/** A key that cannot be used. */
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
/** A 16384-bit key makes one verification take milliseconds; whoever chooses the key must not choose that. */
const MAX_RSA_BITS = 8192

/** The primes that tell an ROCA modulus: all its residues are powers of 65537 (Nemec et al., CCS 2017, §2.3). */
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
 * Holds a key against the one algorithm that it is meant for (RFC 7518 §3.3–3.5, RFC 8037 §3.1).
 * @throws {KeyError} `alg_mismatch` when the algorithm needs another type or curve, `weak_key` when it is too short.
 */
export function assertKeyFits(key: KeyObject, alg: Algorithm): void {
  if (!isAlgorithm(alg)) throw new KeyError('alg_mismatch', `There is no algorithm ${String(alg)}.`)
  if (!fits(key, alg)) throw new KeyError('alg_mismatch', `${alg} needs ${keyWords(alg)}.`)
  if (key.asymmetricKeyType !== 'rsa') return
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  assertStrongRsa(key, modulusLength, publicExponent)
}

function keyWords(alg: Algorithm): string {
  const { kty, crv } = SCHEMES[alg]
  return kty === 'EC' ? `a key on ${crv}` : `an ${crv ?? kty} key`
}

/** Whether a key is of the type, and on the curve, that an algorithm needs (RFC 7518 §3); its strength is not looked at. */
export function fits(key: KeyObject, alg: SignatureAlgorithm): boolean {
  const { keyType, namedCurve } = SCHEMES[alg]
  if (key.asymmetricKeyType !== keyType) return false
  return namedCurve === undefined || key.asymmetricKeyDetails?.namedCurve === namedCurve
}

function assertStrongRsa(key: KeyObject, bits: number, exponent: bigint): void {
  if (bits < MIN_RSA_BITS)
    throw new KeyError('weak_key', `An RSA key needs ${MIN_RSA_BITS} bits; this has ${bits}.`)
  if (bits > MAX_RSA_BITS)
    throw new KeyError('weak_key', `An RSA key may have ${MAX_RSA_BITS} bits; this has ${bits}.`)
  if (exponent < 3n || exponent % 2n === 0n)
    throw new KeyError('weak_key', `The RSA public exponent ${exponent} protects nothing.`)
  if (hasRocaFingerprint(key))
    throw new KeyError(
      'weak_key',
      'The RSA key has the fingerprint of CVE-2017-15361 (ROCA): it can be factored.',
    )
}
