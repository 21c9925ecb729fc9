export type { KmsOptions } from './client-kms.ts'
export { kmsKeyEncryption } from './kms-key-encryption.ts'
export { type KmsSignersOptions, kmsSigners } from './kms-signers.ts'
