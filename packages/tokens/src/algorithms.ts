/** The algorithms of the suite; HMAC is never one of them, because whoever verifies could also sign. */
export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

/** The default comes first. `EdDSA` is Ed25519 alone. */
export const ALGORITHMS: readonly Algorithm[] = ['RS256', 'PS256', 'ES256', 'EdDSA']

/** Names compare exactly: `rs256` is not an algorithm (RFC 7515 §4.1.1). */
export const isAlgorithm = (name: unknown): name is Algorithm =>
  (ALGORITHMS as readonly unknown[]).includes(name)

/**
 * The algorithm that a header or a JWK names. RFC 9864 renames `EdDSA` over Ed25519 to `Ed25519`; both names are read,
 * and `EdDSA` is written, because every library knows it.
 */
export function algorithmNamed(name: unknown): Algorithm | undefined {
  if (name === 'Ed25519') return 'EdDSA'
  return isAlgorithm(name) ? name : undefined
}
