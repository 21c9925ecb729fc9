import type { KeyObject } from 'node:crypto'
import { KeyError } from './key-error.ts'

/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048
/** Verifying with a 16384-bit key takes milliseconds; an issuer must not be able to slow its verifiers down like that. */
const MAX_RSA_BITS = 8192
/**
 * The largest public exponent that Go's crypto/rsa and Windows' CNG accept, so no issuer can use a larger one in practice. The
 * exponent decides what a verification costs: with a modulus of 3072 bits, 7 ms if it has 383 bytes, 0.1 ms at this limit.
 */
const MAX_RSA_EXPONENT = 2n ** 31n - 1n
/** NIST SP 800-89 §5.3.3: a modulus must have no factors below this. Random primes never have such a factor. */
const SMALLEST_FACTOR = 752
/** The CA/Browser Forum's number of rounds (Baseline Requirements §6.1.1.3); CVE-2022-26320 needs one. */
const FERMAT_ROUNDS = 100

/** The number of primes, from 3, that identify a ROCA modulus: all its residues are powers of 65537 (Nemec et al., CCS 2017, §2.3). */
const ROCA_PRIMES = 38

const SMALL_PRIMES = oddPrimesBelow(SMALLEST_FACTOR)

/**
 * Checks that an RSA key is as strong as its length promises.
 * @throws {KeyError} `weak_key`
 */
export function assertStrongRsa(key: KeyObject): void {
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (bits < MIN_RSA_BITS) throw weak(`An RSA key needs at least ${MIN_RSA_BITS} bits; this one has ${bits}.`)
  if (bits > MAX_RSA_BITS)
    throw weak(`An RSA key must have at most ${MAX_RSA_BITS} bits; this one has ${bits}.`)
  if (exponent < 3n || exponent % 2n === 0n || exponent > MAX_RSA_EXPONENT)
    throw weak(
      `The RSA public exponent ${shorten(exponent)} is insecure; it must be odd, at least 3 and at most ${MAX_RSA_EXPONENT}.`,
    )
  const { n = '' } = key.export({ format: 'jwk' })
  const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`)
  if (modulus % 2n === 0n) throw weak('The RSA modulus is even, so everyone can factor it.')
  const factor = SMALL_PRIMES.find((prime) => modulus % BigInt(prime) === 0n)
  if (factor) throw weak(`The RSA modulus is divisible by ${factor}, so everyone can factor it.`)
  if (hasRocaFingerprint(modulus))
    throw weak('The RSA key has the fingerprint of CVE-2017-15361 (ROCA): it can be factored.')
  if (hasCloseFactors(modulus))
    throw weak('The primes of the RSA key are too close to each other (CVE-2022-26320): it can be factored.')
}

const weak = (message: string) => new KeyError('weak_key', message)

/** Writes an exponent of up to 40 digits in full. */
const shorten = (number: bigint) => {
  const digits = String(number)
  return digits.length > 40 ? `${digits.slice(0, 40)}…` : digits
}

function oddPrimesBelow(end: number): number[] {
  const primes: number[] = []
  for (let n = 3; n < end; n += 2) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes
}

const hasRocaFingerprint = (modulus: bigint): boolean =>
  SMALL_PRIMES.slice(0, ROCA_PRIMES).every((prime) =>
    powersOf65537(prime).has(Number(modulus % BigInt(prime))),
  )

function powersOf65537(prime: number): Set<number> {
  const powers = new Set<number>()
  for (let power = 1; !powers.has(power); power = (power * 65_537) % prime) powers.add(power)
  return powers
}

/** Tries Fermat's factorization: n = a² − b² with a close to √n. */
function hasCloseFactors(modulus: bigint): boolean {
  let a = squareRoot(modulus)
  if (a * a < modulus) a += 1n
  for (let round = 0; round < FERMAT_ROUNDS; round += 1, a += 1n) if (isSquare(a * a - modulus)) return true
  return false
}

/** The squares modulo 240 and 77, which exclude 98 of 100 numbers before a root is extracted. */
const SQUARES = [240n, 77n].map(
  (modulus) =>
    [modulus, new Set(Array.from({ length: Number(modulus) }, (_, n) => BigInt(n * n) % modulus))] as const,
)

const isSquare = (number: bigint): boolean =>
  SQUARES.every(([modulus, squares]) => squares.has(number % modulus)) && squareRoot(number) ** 2n === number

/** Returns ⌊√n⌋, by Newton's method from a power of two above it. */
function squareRoot(n: bigint): bigint {
  if (n < 2n) return n
  let root = 1n << BigInt(Math.ceil(n.toString(2).length / 2))
  for (;;) {
    const next = (root + n / root) >> 1n
    if (next >= root) return root
    root = next
  }
}
