import { createHmac } from 'node:crypto'
import { type SharedStore, type StoreOptions, StoreUnavailableError, type Zone } from '../shared-store.ts'
import { type StorePlace, storeFor } from '../store-for.ts'
import { Seal } from './seal.ts'
import { SealedZone } from './sealed-zone.ts'

/** A probe asks every few seconds, and each check writes: often enough to notice, too rare to be a load. */
const CHECK_MS = 1_000
/** A replica that has stopped no longer determines the secrets after this time. */
const CLAIM_MS = 60_000
/** Three per claim, so that one may fail. */
const RENEW_CLAIM_MS = 20_000
const CLAIM_KEY = 'secrets'

export interface SealedStoreOptions extends StoreOptions {
  readonly place: StorePlace
  /** Begins every key in Redis, and separates the derived keys: the name of the service. */
  readonly name: string
  /** At least 128 random bits, the same for all replicas. */
  readonly secret: string
  /** Separates the entries of services that share a store and a secret, e.g. the logins of two providers. */
  readonly scope: string
  /** What all replicas must have in common, by the variable that sets it. Only its hash is in the store. */
  readonly common: Readonly<Record<string, string>>
  /** The largest number of entries of an embedded store; in Redis, `maxmemory` limits them. */
  readonly maxEntries: number
}

/**
 * What the replicas of one service share about their users: nobody else can read it, and replicas with different secrets do not
 * start beside each other.
 */
export class SealedStore {
  /** Entries that Redis may evict if its memory is full. */
  readonly entries: SealedZone
  /** Entries that must not be lost before they expire. */
  readonly pinned: SealedZone
  readonly #store: SharedStore
  readonly #claims: Zone
  readonly #claim: Readonly<Record<string, string>>
  readonly #clock: () => number
  readonly #timer: NodeJS.Timeout
  #checked: { readonly at: number; readonly result: Promise<void> } | undefined

  private constructor({ place, name, secret, scope, common, maxEntries, ...options }: SealedStoreOptions) {
    this.#store = storeFor(place, { ...options, prefix: `hallpass-${name}` })
    this.#clock = options.clock ?? Date.now
    const seal = new Seal(secret, `${name} store of ${scope}`)
    const limit = this.#store.kind === 'lmdb' ? maxEntries : undefined
    this.entries = new SealedZone({ zone: this.#store.zone('entries'), seal, maxEntries: limit })
    this.#claims = this.#store.zone('pinned', { pinned: true })
    this.pinned = new SealedZone({ zone: this.#claims, seal })
    this.#claim = Object.fromEntries(
      Object.entries(common).map(([variable, value]) => [variable, fingerprint(value, name)]),
    )
    // A failure shows in `check()`.
    this.#timer = setInterval(() => void this.#renewClaim().catch(() => {}), RENEW_CLAIM_MS)
    this.#timer.unref()
  }

  /**
   * Opens the store. An unreachable Redis is no error: calls fail until it is reachable.
   * @throws {SecretMismatchError} if another replica runs with another secret.
   * @throws {StateFileError} if an embedded store is damaged.
   */
  static async open(options: SealedStoreOptions): Promise<SealedStore> {
    const sealed = new SealedStore(options)
    try {
      await sealed.#store.open()
      await sealed.#renewClaim().catch((error: unknown) => {
        if (!(error instanceof StoreUnavailableError)) throw error
      })
    } catch (error) {
      await sealed.close()
      throw error
    }
    return sealed
  }

  get kind(): SharedStore['kind'] {
    return this.#store.kind
  }

  /**
   * Checks, by a write, that the store can be read and changed now.
   * @throws {StoreUnavailableError} with the reason
   * @throws {SecretMismatchError} if another replica runs with another secret
   */
  check(): Promise<void> {
    const now = performance.now()
    if (!this.#checked || now - this.#checked.at > CHECK_MS)
      this.#checked = { at: now, result: this.#renewClaim().then(() => this.#store.check()) }
    return this.#checked.result
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#store.close()
  }

  /** The replicas of an embedded store are on one machine and may be started with another secret at any time: each sees its own entries. */
  async #renewClaim(): Promise<void> {
    const value = JSON.stringify(this.#store.kind === 'redis' ? this.#claim : {})
    for (;;) {
      const seen = await this.#claims.get(CLAIM_KEY)
      if (seen && seen.value !== value && this.#store.kind === 'redis')
        throw new SecretMismatchError(differing(JSON.parse(seen.value), this.#claim))
      if (await this.#claims.replace(CLAIM_KEY, seen, { value, endsAt: this.#clock() + CLAIM_MS })) return
    }
  }
}

/** Replicas that share a store do not share their secrets, so that a user would be logged in at one of them only. */
export class SecretMismatchError extends Error {
  override readonly name = 'SecretMismatchError'

  /** @param variables that set the secrets. */
  constructor(variables: readonly string[]) {
    super(
      `${variables.join(' and ')} must be the same for all replicas that share the store at REDIS_URL, and another one runs with ` +
        'another value. Set the same for all; to change it, stop all replicas for a minute.',
    )
  }
}

function differing(
  theirs: Readonly<Record<string, string>>,
  mine: Readonly<Record<string, string>>,
): string[] {
  return [...new Set([...Object.keys(theirs), ...Object.keys(mine)])].filter(
    (name) => theirs[name] !== mine[name],
  )
}

const fingerprint = (value: string, name: string): string =>
  createHmac('sha256', `hallpass ${name} fingerprint`).update(value).digest('base64url').slice(0, 22)
