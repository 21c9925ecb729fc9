import { createPublicKey, type KeyObject } from 'node:crypto'
import { decodeBase64url } from '../compact/index.ts'
import type { SignatureAlgorithm } from './algorithms.ts'
import { KeyError } from './key-error.ts'
import { assertStrong } from './key-strength.ts'
import type { VerificationKey } from './keys.ts'

/** A public key as JSON (RFC 7517 §4). */
export interface Jwk {
  readonly kty: string
  readonly kid: string
  readonly alg: SignatureAlgorithm
  readonly use: 'sig'
  readonly [member: string]: unknown
}

/** Returns the public half of a key as a JWK. */
export const publicJwk = ({ kid, alg, publicKey }: VerificationKey): Jwk =>
  ({ ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }) as Jwk

/** An RSA modulus of 8192 bits has 1366 characters; anything far longer is not worth decoding. */
const MAX_MEMBER_LENGTH = 4096
/** The number of bytes of a coordinate: always all of them, with leading zeros (RFC 7518 §6.2.1.2, RFC 8037 §2). */
const COORDINATE_BYTES: Readonly<Record<string, number>> = {
  'P-256': 32,
  'P-384': 48,
  'P-521': 66,
  Ed25519: 32,
}

/**
 * Imports the public key of a JWK. Reads only its public members: a private key in a key set is a leak and must not be loaded.
 * @throws {KeyError} `invalid_key` for members that are missing, not a key, or not in the one spelling of RFC 7518 §2 and §6, of
 *   which OpenSSL accepts several; `weak_key` for a key that anyone can sign for
 */
export function importPublicJwk(jwk: Readonly<Record<string, unknown>>): KeyObject {
  const { kty, crv, n, e, x, y } = jwk as Record<string, string>
  for (const [member, value] of Object.entries({ n, e }))
    if (decoded(member, value)?.[0] === 0)
      throw new KeyError('invalid_key', `The member ${member} begins with a zero byte (RFC 7518 §2).`)
  const wanted = COORDINATE_BYTES[crv as string]
  for (const [member, value] of Object.entries({ x, y })) {
    const length = decoded(member, value)?.length
    if (length !== undefined && wanted !== undefined && length !== wanted)
      throw new KeyError('invalid_key', `The member ${member} must have ${wanted} bytes, not ${length}.`)
  }
  let key: KeyObject
  try {
    key = createPublicKey({ key: { kty, crv, n, e, x, y } as JsonWebKey, format: 'jwk' })
  } catch (cause) {
    throw new KeyError('invalid_key', 'The key cannot be read (RFC 7518 §6).', { cause })
  }
  assertStrong(key)
  return key
}

function decoded(member: string, value: unknown): Buffer | undefined {
  if (value === undefined) return undefined
  const short = typeof value === 'string' && value.length <= MAX_MEMBER_LENGTH
  const bytes = short ? decodeBase64url(value) : undefined
  if (bytes) return bytes
  throw new KeyError('invalid_key', `The member ${member} is not base64url (RFC 7518 §6).`)
}

type JsonWebKey = import('node:crypto').JsonWebKey
