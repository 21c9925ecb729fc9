export {
  ALGORITHMS,
  type Algorithm,
  algorithmNamed,
  SCHEMES,
  type SignatureAlgorithm,
  withoutAlias,
} from './algorithms.ts'
export { KeySetError, MAX_KID_LENGTH, parseJwks, publicJwk, publicJwks } from './jwks.ts'
export { type KeyFinder, staticKeys } from './key-finder.ts'
export { fits, KeyError, type KeyErrorReason } from './key-strength.ts'
export {
  type AnyVerificationKey,
  exportPrivatePem,
  exportPublicPem,
  generateSigningKey,
  importSigningKey,
  importVerificationKey,
  type SigningKey,
  thumbprint,
  type VerificationKey,
} from './keys.ts'
export { remoteKeys } from './remote-keys.ts'
export type { Signer } from './signer.ts'
