import {
  type Algorithm,
  exportPrivatePem,
  generateSigningKey,
  importSigningKey,
  KeyError,
  type SigningKey,
} from '@hallpass/tokens'
import type { KeyEncryption } from './key-encryption.ts'
import { named } from './kid.ts'
import type { Signers, StoredSigner } from './signers.ts'

const PREFIX = 'wrapped:'

interface WrappedSigners extends Signers {
  readonly kind: 'wrapped'
  readonly importKey: (key: SigningKey) => Promise<StoredSigner>
  open(reference: string, algorithm: Algorithm, kid: string): Promise<SigningKey>
}

/**
 * Private keys that sign in this process. Their reference is the key itself, encrypted under a key-encryption key and bound
 * to its kid and algorithm.
 */
export function wrappedSigners(encryption: KeyEncryption): WrappedSigners {
  const importKey = async (key: SigningKey): Promise<StoredSigner> => {
    const wrapped = await encryption.wrap(Buffer.from(exportPrivatePem(key)), contextOf(key.alg, key.kid))
    return { key, reference: `${PREFIX}${Buffer.from(wrapped).toString('base64url')}` }
  }
  return {
    kind: 'wrapped',
    importKey,
    isCurrent: (reference) =>
      reference.startsWith(PREFIX) &&
      encryption.isCurrent(Buffer.from(reference.slice(PREFIX.length), 'base64url')),
    async create(algorithm, keyId) {
      const key = await generateSigningKey(algorithm)
      return importKey(named(keyId, key))
    },
    async open(reference, algorithm, kid) {
      if (!reference.startsWith(PREFIX))
        throw new KeyError('invalid_key', `The reference of ${kid} is not a wrapped key.`)
      const wrapped = Buffer.from(reference.slice(PREFIX.length), 'base64url')
      const pem = Buffer.from(await encryption.unwrap(wrapped, contextOf(algorithm, kid)))
      return importSigningKey(pem.toString(), { alg: algorithm, kid })
    },
    // The key is in its reference, which the caller removes.
    async destroy() {},
    check: () => encryption.check(),
    async close() {
      encryption.close()
    },
  }
}

const contextOf = (algorithm: Algorithm, kid: string) => ({ algorithm, kid })
