import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { readOrCreatePrivateFile, readOwnerOnlyFile, StateFileError } from '@hallpass/private-files'
import { KeyError } from '@hallpass/tokens'

/** What a wrapped key belongs to. It is authenticated and not encrypted: another context does not unwrap the key. */
export type WrappingContext = Readonly<Record<string, string>>

/** Encrypts private keys under a key-encryption key, so that the store which holds them cannot use them. */
export interface KeyEncryption {
  /** @throws {SignerUnavailableError} if the key-encryption key is in a system that does not answer. */
  wrap(bytes: Uint8Array, context: WrappingContext): Promise<Uint8Array>
  /**
   * @throws {KeyError} `invalid_key` if the bytes are damaged, or were wrapped under another key or context.
   * @throws {SignerUnavailableError} if the key-encryption key is in a system that does not answer.
   */
  unwrap(wrapped: Uint8Array, context: WrappingContext): Promise<Uint8Array>
  /** Whether these bytes were wrapped under the key that wraps new keys: another one may be about to go. */
  isCurrent(wrapped: Uint8Array): boolean
  /** Checks that keys could be wrapped and unwrapped now. @throws {SignerUnavailableError} */
  check(): Promise<void>
  close(): void
}

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
/** NIST SP 800-38D §8.2.2: 96 random bits are safe for 2^32 messages under one key, and a key pair is one message. */
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Tells which line of the file a key was wrapped under. */
const KEY_ID_BYTES = 8
/** Changes if the layout does, so that an older release says so instead of reporting damage. */
const FORMAT = 1

/** Seals bytes as nonce, tag and ciphertext. The context is the additional authenticated data. */
export function seal(key: Uint8Array, bytes: Uint8Array, context: WrappingContext): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce)
  cipher.setAAD(canonical(context))
  const sealed = Buffer.concat([cipher.update(bytes), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed])
}

/** Opens what {@link seal} returned. @throws {KeyError} `invalid_key` */
export function unseal(key: Uint8Array, sealed: Uint8Array, context: WrappingContext): Buffer {
  const bytes = Buffer.from(sealed)
  if (bytes.length <= NONCE_BYTES + TAG_BYTES) throw damaged()
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(canonical(context))
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
  } catch (cause) {
    throw damaged(cause)
  }
}

const damaged = (cause?: unknown) =>
  new KeyError('invalid_key', 'The wrapped key is damaged, or belongs to another key ID.', { cause })

/** The same bytes for the same members in any order. */
const canonical = (context: WrappingContext) =>
  Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))))

/**
 * Reads a key-encryption key: 32 random bytes in base64, e.g. from `openssl rand -base64 32`. To replace it, insert the new
 * key as the first line: the first encrypts, and every line decrypts. A line can go when no stored key needs it.
 * @param create whether to create a missing file, for a store on this machine.
 * @throws {StateFileError} if the file is missing, others may read it, or a line is not such a key.
 */
export async function keyEncryptionFromFile(path: string, { create = false } = {}): Promise<KeyEncryption> {
  if (create) await readOrCreatePrivateFile(path, () => `${randomBytes(KEY_BYTES).toString('base64')}\n`)
  const lines = (await readOwnerOnlyFile(path)).split('\n').map((line) => line.trim())
  const keys = lines.filter(Boolean).map((line) => {
    const key = Buffer.from(line, 'base64')
    if (key.length !== KEY_BYTES || key.toString('base64') !== line) throw notAKey(path)
    return key
  })
  if (keys.length === 0) throw notAKey(path)
  return localKeyEncryption(keys)
}

/**
 * Encrypts under keys in this process.
 * @param keys of 32 bytes each: the first encrypts, all decrypt; at least one
 */
export const localKeyEncryption = (keys: readonly Buffer[]): KeyEncryption => new LocalKeyEncryption(keys)

class LocalKeyEncryption implements KeyEncryption {
  /** By key ID. */
  readonly #keys = new Map<string, Buffer>()
  readonly #first: string

  constructor(keys: readonly Buffer[]) {
    for (const key of keys) this.#keys.set(keyIdOf(key), key)
    this.#first = [...this.#keys.keys()][0] as string
  }

  async wrap(bytes: Uint8Array, context: WrappingContext): Promise<Uint8Array> {
    const sealed = seal(this.#key(this.#first), bytes, context)
    return Buffer.concat([Buffer.of(FORMAT), Buffer.from(this.#first, 'hex'), sealed])
  }

  async unwrap(wrapped: Uint8Array, context: WrappingContext): Promise<Uint8Array> {
    const bytes = Buffer.from(wrapped)
    if (bytes[0] !== FORMAT) throw damaged()
    const key = this.#key(bytes.subarray(1, 1 + KEY_ID_BYTES).toString('hex'))
    return unseal(key, bytes.subarray(1 + KEY_ID_BYTES), context)
  }

  isCurrent(wrapped: Uint8Array): boolean {
    const bytes = Buffer.from(wrapped)
    return bytes[0] === FORMAT && bytes.toString('hex', 1, 1 + KEY_ID_BYTES) === this.#first
  }

  async check(): Promise<void> {}

  close(): void {}

  #key(id: string): Buffer {
    const key = this.#keys.get(id)
    if (key) return key
    throw new KeyError(
      'invalid_key',
      `The key is wrapped under key-encryption key ${id}, which is not in KEY_ENCRYPTION_KEY_FILE. Add it there as a line, or rotate the key.`,
    )
  }
}

/** The file's secret is never shown, so neither is a part of it: a hash identifies it. */
const keyIdOf = (key: Buffer) =>
  createHash('sha256')
    .update('hallpass key-encryption key')
    .update(key)
    .digest()
    .subarray(0, KEY_ID_BYTES)
    .toString('hex')

const notAKey = (path: string) =>
  new StateFileError(
    path,
    'not a key-encryption key',
    'Restore it from your backup: without it, keys that are stored cannot sign. Each line is 32 random bytes in base64 (openssl rand -base64 32)',
  )
