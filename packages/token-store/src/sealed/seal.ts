import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

const KEY_BYTES = 32
/** NIST SP 800-38D §8.2.2: a random IV of 96 bits, for at most 2^32 values per key; each name has its own key. */
const IV_BYTES = 12
const TAG_BYTES = 16

/**
 * Seals the entries of a store: a reader of the store who does not have the secret learns neither the names (which may
 * be bearer values, e.g. of a cookie) nor the values, and cannot move a value to another name.
 */
export class Seal {
  readonly #nameKey: Buffer
  readonly #valueKey: Buffer

  /**
   * @param secret of at least 128 random bits; keys only for this purpose are derived from it (HKDF, RFC 5869).
   * @param purpose different for each use of the secret.
   */
  constructor(secret: string, purpose: string) {
    const derive = (part: string) =>
      Buffer.from(hkdfSync('sha256', secret, '', `hallpass ${purpose}: ${part}`, KEY_BYTES))
    this.#nameKey = derive('names')
    this.#valueKey = derive('values')
  }

  /** Returns the key of an entry: HMAC-SHA256 of its name, as 43 characters. */
  name(name: string): string {
    return createHmac('sha256', this.#nameKey).update(name).digest('base64url')
  }

  /** Encrypts a value with AES-256-GCM, under a key that is derived from the key of its entry. */
  close(key: string, value: string): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#keyOf(key), iv)
    const text = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()])
    return Buffer.concat([iv, text, cipher.getAuthTag()]).toString('base64url')
  }

  /** Returns the value, or undefined if it was changed, or sealed for another entry or with another secret. */
  open(key: string, sealed: string): string | undefined {
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < IV_BYTES + TAG_BYTES) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#keyOf(key), bytes.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      const text = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES))
      return Buffer.concat([text, decipher.final()]).toString('utf8')
    } catch {
      return undefined
    }
  }

  #keyOf(key: string): Buffer {
    return createHmac('sha256', this.#valueKey).update(key).digest()
  }
}
