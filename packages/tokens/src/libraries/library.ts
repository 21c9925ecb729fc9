import type { Claims, CompactParts } from '../compact/index.ts'
import type { AnySigningKey, SignatureAlgorithm, VerificationKey } from '../keys/index.ts'

export type LibraryName = 'node-crypto' | 'jsonwebtoken' | 'jose' | 'node-jose'

/**
 * Signs tokens and verifies signatures with a JWT library. All other checks are in {@link verifyToken}, so they do not depend
 * on the library.
 */
export interface TokenLibrary {
  readonly name: LibraryName
  readonly algorithms: readonly SignatureAlgorithm[]
  /** Signs the unchanged claims as a compact JWS with the header `{ alg, typ, kid }`. RSA never blocks the event loop. */
  sign(claims: Claims, key: AnySigningKey, typ: string): Promise<string>
  /** Tests the signature. The caller must have checked that header and key have the same algorithm. */
  verify(parts: CompactParts, key: VerificationKey): boolean | Promise<boolean>
}
