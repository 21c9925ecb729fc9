export { memoryEncryption } from './memory-encryption.ts'
