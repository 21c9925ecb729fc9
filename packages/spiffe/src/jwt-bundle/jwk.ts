import { createPublicKey, type KeyObject } from 'node:crypto'

/** 112 bits of security, the least that RFC 7518 §3.3 allows. */
const MIN_RSA_BITS = 2048

/** A member of a JWK set, before it is known to be a key (RFC 7517 §4). */
export type Jwk = Readonly<Record<string, unknown>>

/** A key that may have signed JWT-SVIDs of its trust domain. */
export interface JwtAuthority {
  readonly kid: string
  readonly publicKey: KeyObject
  /** If the set says so, the one algorithm of the key. */
  readonly alg: string | undefined
}

/**
 * The public key of a JWK, or undefined for a key that no algorithm of JWT-SVID can use: an unknown `kty` or
 * curve, a symmetric key, an RSA key that is too short. One odd key never spoils a set (Bundle §4.1.3).
 */
export function readAuthority(jwk: Jwk): JwtAuthority | undefined {
  const { kty, kid, alg } = jwk
  if (typeof kid !== 'string' || kid === '') return undefined
  // Only the public members are passed on: a private key in a bundle is a leak, and is not loaded.
  const { n, e, crv, x, y } = jwk
  const members = kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : undefined
  if (!members) return undefined
  let publicKey: KeyObject
  try {
    publicKey = createPublicKey({ key: members as import('node:crypto').JsonWebKey, format: 'jwk' })
  } catch {
    return undefined
  }
  const bits = publicKey.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < MIN_RSA_BITS) return undefined
  return { kid, publicKey, alg: typeof alg === 'string' ? alg : undefined }
}

export const toJwk = ({ kid, publicKey, alg }: JwtAuthority): Jwk => ({
  ...(publicKey.export({ format: 'jwk' }) as Jwk),
  kid,
  ...(alg !== undefined && { alg }),
})

/** The `keys` of a JWK set, as they are; undefined if it is not one. */
export function keysOf(document: unknown): readonly Jwk[] | undefined {
  const keys = (document as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) return undefined
  return keys.filter((key): key is Jwk => typeof key === 'object' && key !== null && !Array.isArray(key))
}
