import { randomBytes } from 'node:crypto'
import { type KeyEncryption, seal, unseal } from '../key-encryption.ts'

/** A key-encryption key that only this test has. */
export function memoryEncryption(): KeyEncryption {
  const key = randomBytes(32)
  return {
    wrap: async (bytes, context) => seal(key, bytes, context),
    unwrap: async (wrapped, context) => unseal(key, wrapped, context),
    async check() {},
    close() {},
  }
}
