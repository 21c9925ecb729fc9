import { createHash, createPublicKey } from 'node:crypto'
import {
  type Algorithm,
  exportPublicPem,
  importVerificationKey,
  KeyError,
  type Signer,
  SigningError,
  type VerificationKey,
} from '@hallpass/tokens'
import { pause } from '@hallpass/untrusted/timers'
import { kidFor } from '../kid.ts'
import { proveKey } from '../prove-key.ts'
import { type Signers, SignerUnavailableError, UnsupportedAlgorithmError } from '../signers.ts'
import { KmsClient, type KmsOptions, SYSTEM } from './client-kms.ts'
import { joseSignature } from './ecdsa-signature.ts'

export interface KmsSignersOptions extends KmsOptions {
  /** How long KMS keeps a key after it was scheduled for deletion; an operator can cancel until then. 7 to 30. */
  readonly deletionDays: number
}

/** Key specs and signing algorithms, as KMS names them. */
const SPECS: Readonly<Record<Algorithm, { readonly key: string; readonly signing: string }>> = {
  RS256: { key: 'RSA_2048', signing: 'RSASSA_PKCS1_V1_5_SHA_256' },
  // KMS makes the salt as long as the hash, as RFC 7518 §3.5 requires.
  PS256: { key: 'RSA_2048', signing: 'RSASSA_PSS_SHA_256' },
  ES256: { key: 'ECC_NIST_P256', signing: 'ECDSA_SHA_256' },
  EdDSA: { key: 'ECC_NIST_EDWARDS25519', signing: 'ED25519_SHA_512' },
}

/** The most that KMS hashes itself. */
const MAX_RAW_BYTES = 4096
const ARN = /^arn:[\w-]+:kms:[\w-]+:\d{12}:key\/([\w-]+)$/

/** KMS is consistent after a while: a key that it has just made may be unknown for some milliseconds. */
const NEW_KEY_PAUSES_MS = [50, 200, 800]
/** Readiness is asked every few seconds by several callers; KMS counts each call. */
const CHECK_MS = 1_000

/**
 * Private keys in AWS KMS, which never leave it. The credentials are those that the SDK finds: environment, profile, web
 * identity, container or instance role.
 * @throws {ConfigError} if `@aws-sdk/client-kms` is not installed.
 */
export function kmsSigners({ deletionDays, ...options }: KmsSignersOptions): Signers {
  const client = new KmsClient(options, 'SIGNER=aws-kms')
  let checked: { readonly atMs: number; readonly result: Promise<unknown> } | undefined

  const signerOf = (key: VerificationKey<Algorithm>, arn: string): Signer => ({
    ...key,
    sign: (bytes) => sign(client, key, arn, bytes),
  })

  const destroy = async (reference: string) => {
    try {
      // By its ID: the region is that of the client.
      await client.call(
        'ScheduleKeyDeletion',
        { KeyId: keyIdOf(reference), PendingWindowInDays: deletionDays },
        reference,
      )
    } catch (error) {
      if (isGone(error)) return
      throw error
    }
  }

  const assertKnown = (algorithm: Algorithm) => {
    const { key } = SPECS[algorithm]
    if (!client.knowsKeySpec(key))
      throw new UnsupportedAlgorithmError('This version of @aws-sdk/client-kms', algorithm, key)
  }

  return {
    kind: 'aws-kms',
    async create(algorithm, keyId) {
      assertKnown(algorithm)
      const reference = await createKey(client, algorithm, keyId)
      try {
        const publicKey = await whileNew(() => publicKeyOf(client, reference, keyId))
        const kid = kidFor(keyId, publicKey)
        const key = signerOf(strong(publicKey, algorithm, kid), reference)
        await whileNew(() => proveKey(key))
        await client.call(
          'CreateAlias',
          { AliasName: `alias/hallpass/${kid}`, TargetKeyId: keyIdOf(reference) },
          kid,
        )
        return { key, reference }
      } catch (error) {
        await destroy(reference).catch(() => {})
        throw error
      }
    },

    async open(reference, algorithm, kid) {
      if (!ARN.test(reference))
        throw new KeyError('invalid_key', `The reference of key ${kid} is not the ARN of a KMS key.`)
      const [publicKey] = await Promise.all([
        publicKeyOf(client, reference, kid),
        assertNotDeleted(client, reference, kid),
      ])
      return signerOf(strong(publicKey, algorithm, kid), reference)
    },

    destroy,

    async check(algorithm) {
      if (algorithm) assertKnown(algorithm)
      if (!checked || performance.now() - checked.atMs > CHECK_MS)
        checked = {
          atMs: performance.now(),
          result: client.call('ListKeys', { Limit: 1 }, 'of this account'),
        }
      await checked.result
    },

    async close() {
      client.close()
    },
  }
}

async function createKey(client: KmsClient, algorithm: Algorithm, keyId: string): Promise<string> {
  const { key: KeySpec } = SPECS[algorithm]
  const input = {
    KeySpec,
    KeyUsage: 'SIGN_VERIFY',
    Description: `Hallpass signs tokens of ${keyId} with it (${algorithm})`,
    Tags: [{ TagKey: 'hallpass:key-id', TagValue: keyId }],
  }
  try {
    const made = await client.call<{ readonly KeyMetadata: { readonly Arn: string } }>(
      'CreateKey',
      input,
      keyId,
    )
    return made.KeyMetadata.Arn
  } catch (error) {
    // This region, or a server that imitates KMS, has no such keys.
    if (error instanceof KeyError)
      throw new UnsupportedAlgorithmError(SYSTEM, algorithm, KeySpec, { cause: error })
    throw error
  }
}

/** A key that will be deleted has a public part until then, but it must not sign again. */
async function assertNotDeleted(client: KmsClient, reference: string, kid: string) {
  const { KeyMetadata } = await client.call<{ readonly KeyMetadata: { readonly KeyState: string } }>(
    'DescribeKey',
    { KeyId: reference },
    kid,
  )
  if (KeyMetadata.KeyState.startsWith('Pending'))
    throw new KeyError('invalid_key', `Key ${kid} will be deleted from KMS.`)
}

async function publicKeyOf(client: KmsClient, reference: string, kid: string) {
  try {
    const { PublicKey } = await client.call<{ readonly PublicKey: Uint8Array }>(
      'GetPublicKey',
      { KeyId: reference },
      kid,
    )
    return createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' })
  } catch (error) {
    if (isGone(error)) throw new KeyError('invalid_key', `Key ${kid} is not in KMS.`, { cause: error })
    throw error
  }
}

async function sign(
  client: KmsClient,
  { alg, kid }: VerificationKey<Algorithm>,
  arn: string,
  bytes: Uint8Array,
) {
  const isWhole = bytes.length <= MAX_RAW_BYTES
  // KMS takes no hash for Ed25519, which hashes twice.
  if (!isWhole && alg === 'EdDSA')
    throw new SigningError(
      'token_too_large',
      `Before its signature, the token would have ${bytes.length} characters; AWS KMS signs at most ${MAX_RAW_BYTES} with EdDSA.`,
    )
  const message = isWhole
    ? { MessageType: 'RAW', Message: Buffer.from(bytes) }
    : { MessageType: 'DIGEST', Message: createHash('sha256').update(bytes).digest() }
  try {
    const { Signature } = await client.call<{ readonly Signature: Uint8Array }>(
      'Sign',
      { KeyId: arn, SigningAlgorithm: SPECS[alg].signing, ...message },
      kid,
    )
    return alg === 'ES256' ? joseSignature(Signature) : Signature
  } catch (error) {
    // A key that is gone must not look like a mistake of the client whose token it should have signed.
    if (error instanceof KeyError)
      throw new SignerUnavailableError(SYSTEM, error.message.replace(/\.$/, ''), error)
    throw error
  }
}

const strong = (publicKey: VerificationKey['publicKey'], alg: Algorithm, kid: string) =>
  importVerificationKey(exportPublicPem({ publicKey, alg, kid }), { alg, kid })

function keyIdOf(reference: string): string {
  const id = ARN.exec(reference)?.[1]
  if (id === undefined)
    throw new KeyError('invalid_key', 'The reference of a key is not the ARN of a KMS key.')
  return id
}

/** Whether a key has been deleted, or will be. */
function isGone(error: unknown): boolean {
  const { cause } = error as Error
  const { name, message = '' } = (cause ?? {}) as Error
  return (
    name === 'NotFoundException' || (name === 'KMSInvalidStateException' && /pending deletion/i.test(message))
  )
}

/** Repeats a call for a key that KMS has just made. */
async function whileNew<T>(call: () => Promise<T>): Promise<T> {
  for (const pauseMs of NEW_KEY_PAUSES_MS) {
    try {
      return await call()
    } catch (error) {
      if (!isNotFound(error)) throw error
      await pause(pauseMs)
    }
  }
  return call()
}

/** Looks through the errors that this file wraps around that of the SDK. */
function isNotFound(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (at.name === 'NotFoundException') return true
  return false
}
