import { ConfigError } from '@hallpass/service-kit'
import type { Algorithm } from '@hallpass/tokens'
import { kmsKeyEncryption, kmsSigners } from './aws-kms/index.ts'
import type { SignersConfig } from './config.ts'
import { keyEncryptionFromFile } from './key-encryption.ts'
import { pkcs11Signers } from './pkcs11/index.ts'
import { type Signers, UnsupportedAlgorithmError } from './signers.ts'
import { wrappedSigners } from './wrapped.ts'

/**
 * Opens what the configuration selects, and loads no package that it does not need. A system that is unavailable is no error: a
 * service starts without its HSM, and `/readyz` says so.
 * @param algorithm of the keys that will be made
 * @throws {ConfigError} if a package is not installed, `PKCS11_MODULE` is no PKCS#11 library, or the system has no such keys.
 * @throws {StateFileError} if the key-encryption key cannot be used.
 */
export async function openSigners(config: SignersConfig, algorithm?: Algorithm): Promise<Signers> {
  const signers = await opened(config)
  try {
    await signers.check(algorithm)
  } catch (error) {
    if (error instanceof UnsupportedAlgorithmError) {
      await signers.close()
      throw new ConfigError([`ALGORITHM: ${error.message}`])
    }
    // Unavailable now, which `check` will say until it is over.
  }
  return signers
}

async function opened(config: SignersConfig): Promise<Signers> {
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
