export { type KeyEncryptionConfig, type SignersConfig, signersConfig } from './config.ts'
export {
  type KeyEncryption,
  keyEncryptionFromFile,
  localKeyEncryption,
  type WrappingContext,
} from './key-encryption.ts'
export { keyIdIn, named } from './kid.ts'
export { openSigners } from './open-signers.ts'
export {
  type Signers,
  SignerUnavailableError,
  type StoredSigner,
  UnsupportedAlgorithmError,
} from './signers.ts'
export { wrappedSigners } from './wrapped.ts'
