import { type Clock, HttpError, notFound } from '@hallpass/service-kit'
import { keyIdIn, type Signers } from '@hallpass/signers'
import type { Change, StoredEntry, Zone } from '@hallpass/token-store'
import { StoreFullError, StoreUnavailableError } from '@hallpass/token-store'
import { type Algorithm, type SignOptions, signToken } from '@hallpass/tokens'
import { onState, stateUnavailable } from '../state/index.ts'
import { isReserved } from './key-id.ts'
import { KeyRing, MAX_KEYS_IN_SET, NewerRecordError, newKey, type RingKey } from './key-ring.ts'
import { type Opened, OpenedKeys } from './opened-keys.ts'

/** A ring does not expire. The last second of the year 9999, the latest that every date format has. */
const NEVER_MS = 253_402_300_799_000
/**
 * How old a copy may be when a key of it is used. Changes are announced within half a second; a process that is killed
 * between a change and its announcement leaves the other replicas this long with the old keys.
 */
const COPY_MS = 1_000
/**
 * How long after a rotation another replica may still sign with the old key: the age of its copy, and the time to open
 * a key in an HSM or a key management service. Its tokens must not outlive the key.
 */
const REPLICA_LAG_MS = 5_000
/** A retry within this time asks for what was tried before; later, it asks for another rotation. */
const RETRY_MS = 60_000
/** How many keys a probe looks at: the first of them are opened once, and most faults concern all. */
const MAX_WARNED = 20
/** Keys whose record could not be stored, kept for a retry: enough for the rotations that are under way. */
const MAX_SPARES = 100
/** Two replicas that change one ring collide once or twice; more often only if all do nothing else. */
const MAX_COLLISIONS = 50
/** So many rings take some milliseconds to read; then requests have a turn. */
const AT_A_TIME = 500
/** How soon the store is read again while it is unavailable. */
const RELOAD_MS = 1_000

export interface KeyStoreOptions {
  /** One record per key ID, changed only by compare and set. */
  readonly zone: Zone
  readonly signers: Signers
  /** Of new keys; each key has its own. */
  readonly algorithm: Algorithm
  readonly clock: Clock
  /** How long a retired key verifies: the longest lifetime of a token, clock skew included. */
  readonly retiredForMs: number
  /** Called when background work fails; it will be retried. */
  readonly onFailure: (error: unknown, what: string) => void
  /** Called after this process has changed a ring in the store. */
  readonly onChanged?: (ring: KeyRing, before: KeyRing | undefined) => Promise<void>
  /** Called once, when all rings have been read after a start without the store. */
  readonly onLoadedLate?: () => void
}

interface Copy {
  readonly ring: KeyRing
  /** When the store had this ring, by the monotonic clock. */
  readAt: number
  /** Whether the store has announced a change since. */
  isStale: boolean
}

interface PublishedKeys {
  readonly keys: readonly RingKey[]
  /** Whether these are all keys of the issuer. */
  readonly isComplete: boolean
  readonly revision: number
  /** When the first of the retired keys is removed. */
  readonly publishedUntilMs: number
}

interface Spare {
  readonly key: RingKey
  readonly opened: Opened
}

/**
 * The keys of all key IDs. The store has them; this process has a copy, which it reads again before it uses a key if the
 * copy may be out of date. A key signs only after the store has it, and a change that cannot be stored changes nothing.
 */
export class KeyStore {
  readonly #options: KeyStoreOptions
  readonly #copies = new Map<string, Copy>()
  /** The key ID of each known kid. */
  readonly #keyIdOf = new Map<string, string>()
  readonly #reading = new Map<string, Promise<KeyRing | undefined>>()
  /** The last change of each key ID, so that those of one key ID run one after the other. */
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #opened: OpenedKeys
  readonly #spares = new Map<string, Spare>()
  /** The new signing key of a rotation whose write may have happened or not. */
  readonly #undecided = new Map<string, { readonly kid: string; readonly atMs: number }>()
  readonly #background = new Set<Promise<void>>()
  /** Increments with each change of any ring. */
  #revision = 0
  #published: PublishedKeys | undefined
  #sorted: { readonly revision: number; readonly keyIds: readonly string[] } | undefined
  #loading: Promise<void> | undefined
  #isLoaded = false
  #wasLate = false
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: KeyStoreOptions) {
    this.#options = options
    this.#opened = new OpenedKeys(options.signers)
  }

  /** Reads all rings and follows their changes. Resolves also if the store is unavailable; it is then tried again. */
  async start(): Promise<void> {
    this.#options.zone.watch((change) => this.#follow(change))
    await this.#reload()
    this.#wasLate = !this.#isLoaded
  }

  /** Waits for keys that are being made in advance. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await Promise.all(this.#background)
  }

  get isLoaded(): boolean {
    return this.#isLoaded
  }

  /** @throws {HttpError} 503 `state_unavailable` if the keys have not been read. */
  check(): void {
    if (!this.#isLoaded) throw stateUnavailable('The keys have not been read from the store yet.')
  }

  get keyIds(): readonly string[] {
    if (this.#sorted?.revision !== this.#revision)
      this.#sorted = { revision: this.#revision, keyIds: [...this.#copies.keys()].sort() }
    return this.#sorted.keyIds
  }

  get rings(): KeyRing[] {
    return [...this.#copies.values()].map(({ ring }) => ring)
  }

  /** Waits until the copies of all rings are current. @throws {HttpError} 503 `state_unavailable` */
  async current(): Promise<void> {
    if (this.#loading !== undefined) await this.#loading
    else if (!this.#isLoaded || !this.#options.zone.isWatching()) await this.#reload()
    if (!this.#isLoaded) throw stateUnavailable('The keys cannot be read from the store.')
  }

  /** Returns the current ring of a key ID. @throws {HttpError} 503 `state_unavailable` */
  async get(keyId: string): Promise<KeyRing | undefined> {
    const copy = this.#copies.get(keyId)
    const isCurrent =
      copy && !copy.isStale && performance.now() - copy.readAt < COPY_MS && this.#options.zone.isWatching()
    return isCurrent ? copy.ring : this.#read(keyId)
  }

  /** Returns the ring of a key ID that must exist. @throws {HttpError} 404 `key_not_found`, 503 `state_unavailable` */
  async existing(keyId: string): Promise<KeyRing> {
    const ring = await this.get(keyId)
    if (ring) return ring
    const remedy = isReserved(keyId) ? '' : ` GET /keys/${keyId} creates it.`
    throw notFound('key_not_found', `Key ${keyId} not found.${remedy}`)
  }

  /** Finds a key of any key ID. @throws {HttpError} 503 `state_unavailable` */
  async find(kid: string): Promise<{ readonly keyId: string; readonly key: RingKey } | undefined> {
    const keyId = this.#keyIdOf.get(kid) ?? keyIdIn(kid)
    const key = keyId === undefined ? undefined : await this.findIn(keyId, kid)
    return keyId === undefined || key === undefined ? undefined : { keyId, key }
  }

  /** Finds a key of a key ID; an unknown one also in the store, where another replica may just have put it. */
  async findIn(keyId: string, kid: string | undefined): Promise<RingKey | undefined> {
    const { clock } = this.#options
    const known = (await this.get(keyId))?.find(kid, clock())
    if (known || kid === undefined) return known
    return (await this.#read(keyId))?.find(kid, clock())
  }

  /**
   * The keys of the issuer's own set: the signing and the next keys of all key IDs, then the retired ones, the latest
   * changed first, as many as verifiers accept in one set.
   */
  published(): PublishedKeys {
    const now = this.#options.clock()
    const { revision, publishedUntilMs = 0 } = this.#published ?? {}
    if (this.#published && revision === this.#revision && now < publishedUntilMs) return this.#published
    const rings = this.rings
      .map((ring) => ({ ring, changedMs: ring.changedMs }))
      .sort((a, b) => b.changedMs - a.changedMs || (a.ring.keyId < b.ring.keyId ? -1 : 1))
      .slice(0, MAX_KEYS_IN_SET)
      .map(({ ring }) => ring)
    const ahead = rings.flatMap(({ signing, next }) => (next ? [signing, next] : [signing]))
    const retired = ahead.length < MAX_KEYS_IN_SET ? rings.flatMap((ring) => ring.retired(now)) : []
    const keys = [...ahead, ...retired]
    this.#published = {
      keys: keys.slice(0, MAX_KEYS_IN_SET),
      isComplete: rings.length === this.#copies.size && keys.length <= MAX_KEYS_IN_SET,
      revision: this.#revision,
      publishedUntilMs: Math.min(...retired.map(({ stored }) => stored.untilMs ?? 0), NEVER_MS),
    }
    return this.#published
  }

  /** The keys of a key ID's own set. */
  publishedOf(ring: KeyRing): readonly RingKey[] {
    return ring.published(this.#options.clock())
  }

  /**
   * Signs claims with the signing key of a key ID.
   * @throws {HttpError} 404 `key_not_found`, 503 `state_unavailable`, 503 `key_not_usable`
   * @throws {SigningError}
   */
  async sign(
    keyId: string,
    claims: Readonly<Record<string, unknown>>,
    options: Omit<SignOptions, 'clock'>,
  ): Promise<string> {
    const { signing } = await this.existing(keyId)
    const key = await this.open(signing)
    return signToken(claims, key, { ...options, clock: this.#options.clock })
  }

  /** Opens the private half of a key, as {@link OpenedKeys.open}. */
  open(key: RingKey): Promise<Opened> {
    return this.#opened.open(key)
  }

  /**
   * Says why keys cannot sign, by the example of one; undefined if those that were looked at can. A service that cannot sign
   * with some keys still verifies, and a rotation mends it: a warning, and not a reason to be unready.
   */
  warning(): Promise<string | undefined> {
    return this.#opened.fault([...this.#copies.values()].slice(0, MAX_WARNED).map(({ ring }) => ring.signing))
  }

  /** Returns the ring of a key ID; the first call of all replicas creates the pair. */
  async getOrCreate(keyId: string): Promise<KeyRing> {
    const ring = await this.get(keyId)
    return ring ?? this.#change(keyId, async (current) => current ?? (await this.#created(keyId)))
  }

  /**
   * Creates the key of a key ID, or rotates it and publishes another next key in the background: who rotates by hand may do
   * so again before all verifiers have renewed their copies. Concurrent calls rotate one after the other.
   * @param expected as of {@link rotate}.
   */
  async createOrRotate(keyId: string, expected?: readonly string[]): Promise<KeyRing> {
    if (!expected && !(await this.get(keyId))) return this.getOrCreate(keyId)
    const ring = await this.rotate(keyId, expected)
    if (!this.#stopped) {
      const publishing = this.publishNext(keyId)
        .then(
          () => {},
          (error: unknown) =>
            this.#options.onFailure(error, 'the next key could not be published; the next rotation makes it'),
        )
        .finally(() => this.#background.delete(publishing))
      this.#background.add(publishing)
    }
    return ring
  }

  /** Adds a ring that was saved elsewhere; does nothing if the key ID has keys. */
  async add(ring: KeyRing): Promise<KeyRing> {
    return this.#change(ring.keyId, async (current) => current ?? ring)
  }

  /** Adds keys of another source, which verify until they expire. */
  async addRetired(keyId: string, keys: readonly RingKey[]): Promise<KeyRing> {
    return this.#change(keyId, async (current) => {
      const ring = current ?? (await this.existing(keyId))
      const unknown = keys.filter(({ kid }) => !ring.keyNamed(kid))
      return unknown.length === 0 ? ring : ring.withRetired(unknown, this.#options.clock())
    })
  }

  /**
   * Makes the next key sign, or a new one if there is none; the previous one verifies until its last token has expired. A
   * call within a minute after one that failed, when the store may have been changed, completes that one.
   * @param expected the kids of which one must sign until now; any if omitted.
   * @throws {HttpError} 412 `other_key_signs`
   * @throws {HttpError} 404 `key_not_found`, 503 `state_unavailable`: nothing has changed, or the retry will notice.
   */
  async rotate(keyId: string, expected?: readonly string[]): Promise<KeyRing> {
    const { clock, retiredForMs } = this.#options
    return this.#change(keyId, async (current) => {
      const ring = current ?? (await this.existing(keyId))
      const tried = this.#undecided.get(keyId)
      this.#undecided.delete(keyId)
      if (tried?.kid === ring.signing.kid && clock() - tried.atMs < RETRY_MS) return ring
      if (expected && !expected.includes(ring.signing.kid)) throw otherKeySigns(ring)
      const next = this.#isUsable(ring.next) ? ring.next : await this.#spare(keyId, 'signing')
      const now = clock()
      return ring.rotated(next, now, now + retiredForMs + REPLICA_LAG_MS)
    })
  }

  /** Publishes the next key, so that verifiers know it before it signs. Does nothing if there is one. */
  async publishNext(keyId: string): Promise<KeyRing> {
    const { clock } = this.#options
    return this.#change(keyId, async (current) => {
      const ring = current ?? (await this.existing(keyId))
      if (this.#isUsable(ring.next)) return ring
      return ring.withNext(await this.#spare(keyId, 'published'), clock())
    })
  }

  /**
   * Withdraws a key, or all keys of a key ID: they verify nothing from now on. If the signing key is among them, the next
   * key or a new one takes over. Withdrawing twice is the same as once: `all` leaves a key alone that took over less than
   * a minute ago.
   * @throws {HttpError} 404 `key_not_found`, 503 `state_unavailable`
   */
  async withdraw(keyId: string, kid: string | 'all'): Promise<KeyRing> {
    const { clock } = this.#options
    return this.#change(keyId, async (current) => {
      const ring = current ?? (await this.existing(keyId))
      if (kid !== 'all') {
        const key = ring.keyNamed(kid)
        if (!key) throw notFound('key_not_found', `${keyId} has no key ${kid}.`)
        if (key.state === 'withdrawn') return ring
        if (key.state !== 'signing') return ring.withdrawn(new Set([kid]), clock())
        const next = this.#isUsable(ring.next) ? ring.next : await this.#spare(keyId, 'signing')
        return ring.withdrawn(new Set([kid]), clock(), next)
      }
      if (ring.allWithdrawnMs !== undefined && clock() - ring.allWithdrawnMs < RETRY_MS) return ring
      const successor = await this.#spare(keyId, 'signing')
      const kids = new Set(ring.keys.map((key) => key.kid))
      return ring.withdrawn(kids, clock(), successor, true)
    })
  }

  async #created(keyId: string): Promise<KeyRing> {
    return new KeyRing(keyId, [await this.#spare(keyId, 'signing')])
  }

  /**
   * Whether a next key can sign as configured: after a change of the algorithm, the signers or the key-encryption key, a new
   * one is made.
   */
  #isUsable(key: RingKey | undefined): key is RingKey {
    const { algorithm, signers } = this.#options
    if (key === undefined || key.alg !== algorithm || key.stored.signer !== signers.kind) return false
    return signers.isCurrent?.(key.stored.reference ?? '') ?? true
  }

  /** Returns a new pair; the same one until the store has it, so that retries do not create one each. */
  async #spare(keyId: string, state: 'signing' | 'published'): Promise<RingKey> {
    const { algorithm, clock, signers } = this.#options
    let spare = this.#spares.get(keyId)
    if (!spare || !this.#isUsable(spare.key)) {
      const { key: opened, reference } = await signers.create(algorithm, keyId)
      spare = { key: newKey(opened, state, clock(), { signer: signers.kind, reference }), opened }
      this.#spares.set(keyId, spare)
      const [oldest] = this.#spares.keys()
      if (this.#spares.size > MAX_SPARES && oldest !== undefined) this.#discard(oldest)
    }
    return spare.key.in(state, clock())
  }

  /** A spare that is in the ring is none any more. */
  #settleSpare(ring: KeyRing): void {
    const spare = this.#spares.get(ring.keyId)
    if (!spare || !ring.keyNamed(spare.key.kid)) return
    this.#spares.delete(ring.keyId)
    this.#opened.add(spare.key.kid, spare.opened)
  }

  #discard(keyId: string): void {
    const { reference } = this.#spares.get(keyId)?.key.stored ?? {}
    this.#spares.delete(keyId)
    if (reference !== undefined) this.#destroy(reference)
  }

  #destroy(reference: string): void {
    const { onFailure, signers } = this.#options
    signers
      .destroy(reference)
      .catch((error: unknown) =>
        onFailure(error, 'a private key that no longer signs could not be destroyed'),
      )
  }

  /**
   * Changes the ring of a key ID in the store, in turn with other changes of this process, and again if another replica
   * was faster.
   * @param make returns the new ring, or the current one if nothing is to change.
   */
  async #change(keyId: string, make: (current: KeyRing | undefined) => Promise<KeyRing>): Promise<KeyRing> {
    const before = this.#turns.get(keyId) ?? Promise.resolve()
    const turn = before.then(
      () => this.#changeNow(keyId, make),
      () => this.#changeNow(keyId, make),
    )
    this.#turns.set(keyId, turn)
    try {
      return await turn
    } finally {
      if (this.#turns.get(keyId) === turn) this.#turns.delete(keyId)
    }
  }

  async #changeNow(
    keyId: string,
    make: (current: KeyRing | undefined) => Promise<KeyRing>,
  ): Promise<KeyRing> {
    const { clock, onChanged, zone } = this.#options
    for (let collision = 0; collision < MAX_COLLISIONS; collision += 1) {
      const readAt = performance.now()
      const seen = await onState(() => zone.get(keyId))
      const stored = seen && this.#parse(keyId, seen.value)
      const current = this.#withLost(keyId, stored, readAt)
      // An earlier write may have been stored although its answer was lost.
      if (current) this.#settleSpare(current)
      const ring = await make(current)
      if (ring === stored) {
        // A change may be stored and not yet announced, if its process was killed in between.
        await this.#announce(keyId)
        return this.#adopt(ring, readAt)
      }
      const undecided = { kid: ring.signing.kid, atMs: clock() }
      const isStored = await onState(async () => {
        try {
          return await zone.replace(keyId, seen, entryOf(ring))
        } catch (error) {
          // The store may have been changed, and the answer lost.
          if (error instanceof StoreUnavailableError && !(error instanceof StoreFullError))
            if (current && ring.signing.kid !== current.signing.kid) this.#undecided.set(keyId, undecided)
          throw error
        }
      })
      if (!isStored) continue
      this.#undecided.delete(keyId)
      this.#settleSpare(ring)
      this.#adopt(ring, performance.now())
      this.#destroyUnused(current, ring)
      await this.#announce(keyId)
      await onChanged?.(ring, current)
      return ring
    }
    throw stateUnavailable(`The keys of ${keyId} are being changed by other replicas. Try again.`)
  }

  /** Failing to announce is no failure: every replica reads a ring again before its copy is a second old. */
  async #announce(keyId: string): Promise<void> {
    await this.#options.zone.announce(keyId).catch(() => {})
  }

  /** Destroys private halves that no key of the new ring refers to. */
  #destroyUnused(before: KeyRing | undefined, after: KeyRing): void {
    const used = new Set(after.keys.map(({ stored }) => stored.reference))
    for (const { kid, stored } of before?.keys ?? []) {
      if (stored.reference === undefined || used.has(stored.reference)) continue
      this.#opened.forget(kid)
      this.#destroy(stored.reference)
    }
  }

  #read(keyId: string): Promise<KeyRing | undefined> {
    let reading = this.#reading.get(keyId)
    if (!reading) {
      reading = this.#readNow(keyId).finally(() => this.#reading.delete(keyId))
      this.#reading.set(keyId, reading)
    }
    return reading
  }

  async #readNow(keyId: string): Promise<KeyRing | undefined> {
    const readAt = performance.now()
    const seen = await onState(() => this.#options.zone.get(keyId))
    const stored = seen && this.#parse(keyId, seen.value)
    const ring = this.#withLost(keyId, stored, readAt)
    if (ring !== stored) this.#putBack(keyId)
    return ring && this.#adopt(ring, readAt)
  }

  /**
   * Returns the ring with what the store has lost of it and this process knows. Until it is stored again, this process goes on
   * with it: its tokens are valid.
   */
  #withLost(keyId: string, stored: KeyRing | undefined, readAt: number): KeyRing | undefined {
    const { clock, retiredForMs } = this.#options
    const copy = this.#copies.get(keyId)
    // A copy that was read later is newer, and nothing is lost.
    if (!copy || copy.readAt > readAt) return stored ?? copy?.ring
    if (!stored) return copy.ring
    const now = clock()
    if (!stored.hasLost(copy.ring, now, retiredForMs)) return stored
    return stored.joined(copy.ring, now, now + retiredForMs + REPLICA_LAG_MS) ?? stored
  }

  /** Any change stores what was lost, so this one need not change anything. */
  #putBack(keyId: string): void {
    if (this.#stopped || this.#turns.has(keyId)) return
    const { onFailure } = this.#options
    onFailure(new Error(`The store has lost the last changes of ${keyId}.`), 'they are written back')
    const change = this.#change(keyId, async (current) => current ?? this.existing(keyId))
      .then(
        () => {},
        (error: unknown) => onFailure(error, 'they could not be written back; it is tried again'),
      )
      .finally(() => this.#background.delete(change))
    this.#background.add(change)
  }

  #parse(keyId: string, value: string): KeyRing {
    try {
      return KeyRing.parse(keyId, value, this.#copies.get(keyId)?.ring)
    } catch (error) {
      if (error instanceof NewerRecordError) throw stateUnavailable(error.message, error)
      throw stateUnavailable(`The record of the key ID ${keyId} is damaged. Restore the store.`, error)
    }
  }

  /** Takes a ring as the copy, unless the copy is newer, and returns the copy. */
  #adopt(ring: KeyRing, readAt: number): KeyRing {
    const copy = this.#copies.get(ring.keyId)
    if (copy && copy.readAt > readAt) return copy.ring
    if (copy && isUnchanged(copy.ring, ring)) {
      copy.readAt = readAt
      copy.isStale = false
      return copy.ring
    }
    for (const { kid } of copy?.ring.keys ?? []) this.#keyIdOf.delete(kid)
    for (const { kid } of ring.keys) this.#keyIdOf.set(kid, ring.keyId)
    for (const { kid, state } of ring.keys) if (state === 'withdrawn') this.#opened.forget(kid)
    this.#copies.set(ring.keyId, { ring, readAt, isStale: false })
    this.#revision += 1
    return ring
  }

  #follow(change: Change): void {
    if (typeof change === 'object') {
      const copy = this.#copies.get(change.key)
      if (copy) copy.isStale = true
      // Until it succeeds, each use of the ring reads it.
      void this.#read(change.key).catch(() => {})
      return
    }
    for (const copy of this.#copies.values()) copy.isStale = true
    if (change === 'emptied') void this.#writeBack()
    else if (this.#isLoaded) void this.#reload()
  }

  /** After the store has lost its entries, e.g. by a failover without data, gives it what this process knows. */
  async #writeBack(): Promise<void> {
    const { onFailure, zone } = this.#options
    onFailure(new Error('The store is empty.'), 'the store has lost all keys; they are written back')
    try {
      for (const { ring } of this.#copies.values()) await zone.replace(ring.keyId, undefined, entryOf(ring))
    } catch (error) {
      onFailure(error, 'the keys could not be written back to the store')
    }
    await this.#reload()
  }

  #reload(): Promise<void> {
    clearTimeout(this.#timer)
    this.#loading ??= this.#load()
      .then(() => {
        this.#isLoaded = true
        if (this.#wasLate) this.#options.onLoadedLate?.()
        this.#wasLate = false
      })
      .catch((error: unknown) => {
        this.#isLoaded = false
        this.#options.onFailure(error, 'the keys could not be read from the store; it is tried again')
        if (!this.#stopped) this.#timer = setTimeout(() => void this.#reload(), RELOAD_MS)
      })
      .finally(() => {
        this.#loading = undefined
      })
    return this.#loading
  }

  async #load(): Promise<void> {
    const readAt = performance.now()
    const stored = new Set<string>()
    for await (const [keyId, { value }] of this.#options.zone.entries()) {
      stored.add(keyId)
      const ring = this.#parse(keyId, value)
      const current = this.#withLost(keyId, ring, readAt) ?? ring
      if (current !== ring) this.#putBack(keyId)
      this.#adopt(current, readAt)
      if (stored.size % AT_A_TIME === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    for (const [keyId, copy] of this.#copies)
      if (!stored.has(keyId) && copy.readAt <= readAt) this.#putBack(keyId)
  }
}

const entryOf = (ring: KeyRing): StoredEntry => ({ value: ring.print(), endsAt: NEVER_MS })

const isUnchanged = (a: KeyRing, b: KeyRing) =>
  a.keys.length === b.keys.length && a.keys.every((key, index) => key === b.keys[index])

const otherKeySigns = ({ keyId, signing }: KeyRing) =>
  new HttpError(412, 'other_key_signs', `${keyId} already signs with ${signing.kid}. Nothing was changed.`, {
    headers: { etag: `"${signing.kid}"` },
  })
