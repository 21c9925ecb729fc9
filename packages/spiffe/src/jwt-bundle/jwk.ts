import type { KeyObject } from 'node:crypto'
import { importPublicJwk, KeyError } from '@hallpass/tokens'

/** As in key sets of other issuers: a kid is only compared, but every token could make it a long comparison. */
const MAX_KID_LENGTH = 256
/** The key types of the JWT-SVID algorithms (JWT-SVID §2.1, RFC 7518 §3.1). */
const KEY_TYPES: readonly unknown[] = ['RSA', 'EC']

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
 * Reads the public key of a JWK. Returns undefined for a key that no JWT-SVID algorithm can use (an unknown `kty` or curve, a
 * symmetric key, `key_ops` without verification) and for a weak or malformed one. Such keys do not invalidate the set
 * (Bundle §4.1.3).
 */
export function readAuthority(jwk: Jwk): JwtAuthority | undefined {
  const { kty, kid, alg, key_ops } = jwk
  if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH) return undefined
  if (!KEY_TYPES.includes(kty)) return undefined
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes('verify'))) return undefined
  try {
    return { kid, publicKey: importPublicJwk(jwk), alg: typeof alg === 'string' ? alg : undefined }
  } catch (error) {
    if (error instanceof KeyError) return undefined
    throw error
  }
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
