export * from './algorithms.ts'
export * from './cached-verifier.ts'
export { verifySignature } from './check-origin.ts'
export {
  type Claims,
  type CompactParts,
  type ParsedToken,
  parseCompact,
  type TokenHeader,
} from './compact.ts'
export * from './describe-token.ts'
export * from './jwks.ts'
export { type KeyFinder, staticKeys } from './key-finder.ts'
export { KeyError, type KeyErrorReason } from './key-strength.ts'
export * from './keys.ts'
export { libraries, libraryNamed } from './libraries.ts'
export * from './library.ts'
export * from './remote-keys.ts'
export { anySubject, optionalSubject, type VerificationRules } from './rules.ts'
export * from './sign.ts'
export * from './token-error.ts'
export * from './verify.ts'
