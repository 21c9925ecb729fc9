import { kmsKeyEncryption, kmsSigners } from './aws-kms/index.ts'
import type { SignersConfig } from './config.ts'
import { keyEncryptionFromFile } from './key-encryption.ts'
import { pkcs11Signers } from './pkcs11/index.ts'
import type { Signers } from './signers.ts'
import { wrappedSigners } from './wrapped.ts'

/**
 * Opens what the configuration selects, and loads no other code that is not bundled. Does not call the system that keeps the
 * keys: a service starts while its HSM is unavailable, and `/readyz` says so.
 * @throws {MissingModuleError} if a package is not installed.
 * @throws {StateFileError} if the key-encryption key cannot be used.
 * @throws {Error} if `PKCS11_MODULE` is no PKCS#11 library.
 */
export async function openSigners(config: SignersConfig): Promise<Signers> {
  switch (config.signer) {
    case 'pkcs11':
      return pkcs11Signers(config)
    case 'aws-kms':
      return kmsSigners(config)
    case 'wrapped': {
      const { keyEncryption } = config
      if ('kmsKeyId' in keyEncryption)
        return wrappedSigners(kmsKeyEncryption(keyEncryption.kmsKeyId, keyEncryption))
      return wrappedSigners(await keyEncryptionFromFile(keyEncryption.file, keyEncryption))
    }
  }
}
