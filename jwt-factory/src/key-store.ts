import { type Clock, HttpError, notFound } from '@hallpass/service-kit'
import { type Algorithm, generateSigningKey, type SigningKey, thumbprint } from '@hallpass/tokens'
import { isReserved } from './key-id.ts'
import { KeyRing } from './key-ring.ts'

/**
 * The suite's verifiers accept up to 100 keys in a JWKS (packages/tokens, `parseJwks`), about 46 KB. A key ID publishes
 * the signing key, the next key, and each retired key until its tokens have expired.
 */
const MAX_PUBLISHED_KEYS = 100
const KEYS_OF_A_KEY_ID = 2

export interface KeyStoreOptions {
  readonly algorithm: Algorithm
  readonly clock: Clock
  /** Called when background work fails; it will be retried. */
  readonly onFailure: (error: unknown) => void
  /** Called when a next key is published. */
  readonly onPublished?: (ring: KeyRing) => void
}

/** The keys of all key IDs. Generates pairs on the thread pool; concurrent requests for the same key share one pair. */
export class KeyStore {
  readonly #options: KeyStoreOptions
  readonly #rings = new Map<string, KeyRing>()
  readonly #creating = new Map<string, Promise<KeyRing>>()
  readonly #preparing = new Map<string, Promise<void>>()
  readonly #rotating = new Map<string, Promise<KeyRing>>()

  constructor(options: KeyStoreOptions) {
    this.#options = options
  }

  get keyIds(): string[] {
    return [...this.#rings.keys()].sort()
  }

  get rings(): Iterable<KeyRing> {
    return this.#rings.values()
  }

  get(keyId: string): KeyRing | undefined {
    return this.#rings.get(keyId)
  }

  /** Returns the keys of a key ID that must exist. @throws {HttpError} 404 `key_not_found` */
  existing(keyId: string): KeyRing {
    const ring = this.#rings.get(keyId)
    if (ring) return ring
    const remedy = isReserved(keyId) ? '' : ` GET /keys/${keyId} creates it.`
    throw notFound('key_not_found', `Key ${keyId} not found.${remedy}`)
  }

  /** The public keys of all key IDs. */
  get published(): SigningKey[] {
    return [...this.#rings.values()].flatMap((ring) => ring.published)
  }

  find(kid: string): { readonly ring: KeyRing; readonly key: SigningKey } | undefined {
    for (const ring of this.#rings.values()) {
      const key = ring.find(kid)
      if (key) return { ring, key }
    }
    return undefined
  }

  /** Adds keys that were saved earlier. */
  add(ring: KeyRing): void {
    this.#rings.set(ring.keyId, ring)
    this.#prepareInBackground(ring)
  }

  /** Returns the keys of a key ID, created on the first call; concurrent callers share one pair. */
  async getOrCreate(keyId: string): Promise<KeyRing> {
    const ring = this.#rings.get(keyId)
    if (ring) return ring
    return once(this.#creating, keyId, () => this.#create(keyId))
  }

  /** Creates the keys, or rotates them. Concurrent calls rotate one after the other. */
  async createOrRotate(keyId: string): Promise<KeyRing> {
    const ring = this.#rings.get(keyId)
    if (!ring) return this.getOrCreate(keyId)
    const turn = (this.#rotating.get(keyId) ?? Promise.resolve(ring))
      .catch(() => ring)
      .then(() => this.#rotate(ring))
    this.#rotating.set(keyId, turn)
    try {
      return await turn
    } finally {
      if (this.#rotating.get(keyId) === turn) this.#rotating.delete(keyId)
    }
  }

  async #create(keyId: string): Promise<KeyRing> {
    this.#assertRoom(KEYS_OF_A_KEY_ID * (this.#creating.size + 1))
    const signing = await this.#generate(keyId)
    const ring = new KeyRing(keyId, this.#options.clock, { signing })
    this.add(ring)
    return ring
  }

  async #rotate(ring: KeyRing): Promise<KeyRing> {
    this.#assertRoom(1)
    await this.#prepare(ring)
    ring.rotate()
    this.#prepareInBackground(ring)
    return ring
  }

  #assertRoom(more: number) {
    const taken = [...this.#rings.values()].map(({ retired }) => KEYS_OF_A_KEY_ID + retired.length)
    if (taken.reduce((sum, keys) => sum + keys, more) > MAX_PUBLISHED_KEYS)
      throw new HttpError(
        429,
        'too_many_keys',
        `At most ${MAX_PUBLISHED_KEYS} keys can be published, because verifiers accept no more. Retired keys are removed when their last token has expired.`,
      )
  }

  /** Publishes the next key if there is none. */
  async #prepare(ring: KeyRing): Promise<void> {
    if (ring.next) return
    await once(this.#preparing, ring.keyId, async () => {
      ring.publish(await this.#generate(ring.keyId))
      this.#options.onPublished?.(ring)
    })
  }

  #prepareInBackground(ring: KeyRing) {
    this.#prepare(ring).catch(this.#options.onFailure)
  }

  async #generate(keyId: string): Promise<SigningKey> {
    return named(keyId, await generateSigningKey(this.#options.algorithm))
  }
}

/** Starts `work` unless it is already running for this name; concurrent callers share its result. */
function once<T>(underWay: Map<string, Promise<T>>, name: string, work: () => Promise<T>): Promise<T> {
  let running = underWay.get(name)
  if (!running) {
    running = work().finally(() => underWay.delete(name))
    underWay.set(name, running)
  }
  return running
}

/** 22 characters of base64url are 132 bits of the key's thumbprint: practically unique. */
const THUMBPRINT_CHARACTERS = 22
const KEY_ID_CHARACTERS = 64 - 1 - THUMBPRINT_CHARACTERS

/**
 * Sets a key's kid to its key ID and thumbprint: `servicea-Zk3…`. Key IDs are truncated to 41 characters, so that the
 * kid stays within 64.
 */
export const named = (keyId: string, key: SigningKey): SigningKey => ({
  ...key,
  kid: `${keyId.slice(0, KEY_ID_CHARACTERS)}-${thumbprint(key.publicKey).slice(0, THUMBPRINT_CHARACTERS)}`,
})
