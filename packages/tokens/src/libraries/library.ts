import type { Claims, CompactParts } from '../compact/compact.ts'
import type { Algorithm } from '../keys/algorithms.ts'
import type { AnyVerificationKey, SigningKey } from '../keys/keys.ts'

export type LibraryName = 'node-crypto' | 'jsonwebtoken' | 'jose' | 'node-jose'

/**
 * What a JWT library does for us: the signature, both ways. Everything that decides whether a token is good stays in
 * {@link verifyToken}, and is the same whichever library is used.
 */
export interface TokenLibrary {
  readonly name: LibraryName
  readonly algorithms: readonly Algorithm[]
  /** The compact JWS over the claims as they are, with the header `{ alg, typ, kid }`. Never blocks the event loop for RSA. */
  sign(claims: Claims, key: SigningKey, typ: string): Promise<string>
  /** Whether the key made the token's signature. The caller has made sure that header and key name one algorithm. */
  verify(parts: CompactParts, key: AnyVerificationKey): boolean | Promise<boolean>
}
