import type { KeyObject } from 'node:crypto'
import { KeyError } from './key-error.ts'

/** The prime of the field, and the constant of the curve −x² + y² = 1 + dx²y² (RFC 8032 §5.1). */
const P = 2n ** 255n - 19n
const D =
  37_095_705_934_669_439_343_138_083_508_754_565_189_542_113_879_843_219_016_388_785_533_085_940_283_555n
/** The y of two of the points of order 8; that of the other two is its negative. */
const Y_OF_ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
/** The y of the eight points whose order divides 8: 1, 2, 4 and 8. */
const SMALL_ORDER: ReadonlySet<bigint> = new Set([1n, P - 1n, 0n, Y_OF_ORDER_8, P - Y_OF_ORDER_8])

/**
 * Checks that an Ed25519 key is a point of the curve that can identify a signer. With a point of small order, anyone can make
 * signatures that verify, for every message or for one of eight (RFC 8725 §3.4). OpenSSL checks none of this.
 * @throws {KeyError} `weak_key` for a point of small order in any encoding, `invalid_key` for bytes that are not the canonical
 *   encoding of a point (RFC 8032 §5.1.3)
 */
export function assertStrongEd25519(key: KeyObject): void {
  const { x = '' } = key.export({ format: 'jwk' })
  const bytes = Buffer.from(x, 'base64url').reverse()
  // The highest bit is the sign of x.
  bytes[0] = (bytes[0] ?? 0) & 0x7f
  const encoded = BigInt(`0x${bytes.toString('hex')}`)
  const y = encoded % P
  if (SMALL_ORDER.has(y))
    throw new KeyError('weak_key', 'The Ed25519 key is a point of small order: anyone can sign for it.')
  if (encoded !== y || !isOnCurve(y))
    throw new KeyError('invalid_key', 'The Ed25519 key is not the encoding of a point (RFC 8032 §5.1.3).')
}

/** Tests whether x² = (y² − 1) / (dy² + 1) has a root; by Euler's criterion for numerator times denominator. */
function isOnCurve(y: bigint): boolean {
  const square = (y * y) % P
  return power(((square - 1n + P) * (D * square + 1n)) % P, (P - 1n) / 2n) === 1n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let factor = base, rest = exponent; rest > 0n; rest >>= 1n, factor = (factor * factor) % P)
    if (rest & 1n) result = (result * factor) % P
  return result
}
