export { type KeyEncryption, keyEncryptionFromFile, type WrappingContext } from './key-encryption.ts'
export { kidFor } from './kid.ts'
export {
  type Signers,
  SignerUnavailableError,
  type StoredSigner,
  UnsupportedAlgorithmError,
} from './signers.ts'
export { wrappedSigners } from './wrapped.ts'
