import { type Clock, HttpError } from '@hallpass/service-kit'
import { type Algorithm, generateSigningKey, type SigningKey, thumbprint } from '@hallpass/tokens'
import { KeyRing } from './key-ring.ts'

/**
 * A verifier of the suite reads key sets of up to 100 keys (packages/tokens, `parseJwks`), about 46 KB. A key id
 * publishes two, the one that signs and the next, and each that is retired until its tokens have expired.
 */
const MAX_PUBLISHED_KEYS = 100
const KEYS_OF_A_KEY_ID = 2

export interface KeyStoreOptions {
  readonly algorithm: Algorithm
  readonly clock: Clock
  /** Told of work that failed in the background and will be tried again. */
  readonly onFailure: (error: unknown) => void
  /** Told of a next key that verifiers see from now on. */
  readonly onPublished?: (ring: KeyRing) => void
}

/** The keys of all key ids. Pairs are made on the thread pool, and never two for what one will do. */
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

  /** Every public key, of every key id. */
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

  /** Takes over keys that were saved before. */
  add(ring: KeyRing): void {
    this.#rings.set(ring.keyId, ring)
    this.#prepareInBackground(ring)
  }

  /** The keys of a key id, made on the first call; callers at the same time share one pair. */
  async getOrCreate(keyId: string): Promise<KeyRing> {
    const ring = this.#rings.get(keyId)
    if (ring) return ring
    return once(this.#creating, keyId, () => this.#create(keyId))
  }

  /** Creates the keys, or lets the next one sign; two calls at the same time rotate twice, one after the other. */
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
        `At most ${MAX_PUBLISHED_KEYS} keys are published, because verifiers read no more; retired ones leave when their last token has expired.`,
      )
  }

  /** Sees to it that the next key is published. */
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

/** Starts `work` unless it is under way for this name; all who ask meanwhile get its result. */
function once<T>(underWay: Map<string, Promise<T>>, name: string, work: () => Promise<T>): Promise<T> {
  let running = underWay.get(name)
  if (!running) {
    running = work().finally(() => underWay.delete(name))
    underWay.set(name, running)
  }
  return running
}

/** 22 characters of base64url are 132 bits of the key's thumbprint: no two keys share them. */
const THUMBPRINT_CHARACTERS = 22
const KEY_ID_CHARACTERS = 64 - 1 - THUMBPRINT_CHARACTERS

/**
 * Gives a key its kid, which says whose it is and which: `servicea-Zk3…`. Key ids of more than 41 characters are cut
 * there, so that the kid stays within 64.
 */
export const named = (keyId: string, key: SigningKey): SigningKey => ({
  ...key,
  kid: `${keyId.slice(0, KEY_ID_CHARACTERS)}-${thumbprint(key.publicKey).slice(0, THUMBPRINT_CHARACTERS)}`,
})
