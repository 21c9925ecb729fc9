import { ALGORITHMS, libraries, type SignatureAlgorithm, type TokenLibrary } from '@hallpass/tokens'

/**
 * Makes a library that has every algorithm: an issuer whose algorithm was changed has keys of the earlier one, which the
 * chosen library may not support. Those use node:crypto.
 */
export function anyAlgorithm(library: TokenLibrary): TokenLibrary {
  const fallback = libraries['node-crypto']
  const forAlgorithm = (alg: SignatureAlgorithm) =>
    (library.algorithms as readonly SignatureAlgorithm[]).includes(alg) ? library : fallback
  return {
    name: library.name,
    algorithms: ALGORITHMS,
    sign: (claims, key, typ) => forAlgorithm(key.alg).sign(claims, key, typ),
    verify: (parts, key) => forAlgorithm(key.alg).verify(parts, key),
  }
}
