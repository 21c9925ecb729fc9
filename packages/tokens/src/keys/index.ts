export {
  ALGORITHMS,
  type Algorithm,
  algorithmNamed,
  algorithmsIn,
  algorithmsNamed,
  SCHEMES,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  withoutAlias,
} from './algorithms.ts'
export { importPublicJwk, publicJwk } from './jwk.ts'
export {
  type KeySet,
  KeySetError,
  MAX_KID_LENGTH,
  parseJwks,
  publicJwks,
  readKeySet,
  type UnusableKey,
} from './jwks.ts'
export { KeyError, type KeyErrorReason } from './key-error.ts'
export { type KeyFinder, staticKeys } from './key-finder.ts'
export { fits } from './key-strength.ts'
export {
  type AnySigningKey,
  exportPrivatePem,
  exportPublicPem,
  generateSigningKey,
  importSigningKey,
  importVerificationKey,
  type KeyIdentity,
  type SigningKey,
  thumbprint,
  type VerificationKey,
} from './keys.ts'
export { KeyNotLoadedError, remoteKeys } from './remote/index.ts'
export type { Signer } from './signer.ts'
