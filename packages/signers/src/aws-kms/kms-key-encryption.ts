import { KeyError } from '@hallpass/tokens'
import { type KeyEncryption, seal, unseal, type WrappingContext } from '../key-encryption.ts'
import { KmsClient, type KmsOptions } from './client-kms.ts'

/** Changes if the layout does. The key-encryption key of a file has format 1. */
const FORMAT = 2
const HEADER_BYTES = 3

/**
 * A key-encryption key that never leaves AWS KMS: each private key is encrypted under a data key of its own, which KMS made
 * and encrypted, bound to the context. Opening a key for the first time is one call.
 * @param keyId the ID, ARN or alias of a symmetric KMS key
 * @throws {ConfigError} if `@aws-sdk/client-kms` is not installed.
 */
export function kmsKeyEncryption(keyId: string, options: KmsOptions): KeyEncryption {
  const client = new KmsClient(options, 'KEY_ENCRYPTION_KMS_KEY_ID')
  const subject = (context: WrappingContext) => context.kid ?? 'to wrap'
  return {
    async wrap(bytes, context) {
      const { Plaintext, CiphertextBlob } = await client.call<{
        readonly Plaintext: Uint8Array
        readonly CiphertextBlob: Uint8Array
      }>(
        'GenerateDataKey',
        { KeyId: keyId, KeySpec: 'AES_256', EncryptionContext: context },
        subject(context),
      )
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt8(FORMAT)
      header.writeUInt16BE(CiphertextBlob.length, 1)
      const sealed = seal(Plaintext, bytes, context)
      Plaintext.fill(0)
      return Buffer.concat([header, CiphertextBlob, sealed])
    },

    async unwrap(wrapped, context) {
      const bytes = Buffer.from(wrapped)
      const length = bytes.length < HEADER_BYTES || bytes[0] !== FORMAT ? 0 : bytes.readUInt16BE(1)
      if (length === 0)
        throw new KeyError('invalid_key', 'The key was not wrapped by AWS KMS, or is damaged.')
      const { Plaintext } = await client.call<{ readonly Plaintext: Uint8Array }>(
        'Decrypt',
        {
          KeyId: keyId,
          CiphertextBlob: bytes.subarray(HEADER_BYTES, HEADER_BYTES + length),
          EncryptionContext: context,
        },
        subject(context),
      )
      const opened = unseal(Plaintext, bytes.subarray(HEADER_BYTES + length), context)
      Plaintext.fill(0)
      return opened
    },

    // The check of KMS itself, which needs no permission to decrypt and leaves no trace of a key in its audit log.
    isCurrent: (wrapped) => wrapped[0] === FORMAT,

    async check() {
      await client.call('DescribeKey', { KeyId: keyId }, keyId)
    },

    close: () => client.close(),
  }
}
