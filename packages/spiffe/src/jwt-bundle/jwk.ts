import { createPublicKey, type KeyObject } from 'node:crypto'

/** 112 bits of security, the minimum of RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048

/** An entry of a JWK Set, not yet validated (RFC 7517 §4). */
export type Jwk = Readonly<Record<string, unknown>>

/** A key that signs JWT-SVIDs of its trust domain. */
export interface JwtAuthority {
  readonly kid: string
  readonly publicKey: KeyObject
  /** The key's only algorithm, if the set names one. */
  readonly alg: string | undefined
}

/**
 * Reads the public key of a JWK. Returns undefined for a key that no JWT-SVID algorithm can use: an unknown `kty` or curve,
 * a symmetric key, an RSA key that is too short. Such keys do not invalidate the set (Bundle §4.1.3).
 */
export function readAuthority(jwk: Jwk): JwtAuthority | undefined {
  const { kty, kid, alg } = jwk
  if (typeof kid !== 'string' || kid === '') return undefined
  // Copy only the public members: a private key in a bundle is a leak and must not be loaded.
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

/** Returns the `keys` of a JWK Set; undefined if the document is not one. */
export function keysOf(document: unknown): readonly Jwk[] | undefined {
  const keys = (document as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) return undefined
  return keys.filter((key): key is Jwk => typeof key === 'object' && key !== null && !Array.isArray(key))
}
