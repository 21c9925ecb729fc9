import type { Clock, Logger } from '@hallpass/service-kit'
import {
  type SharedStore,
  type StorePlace,
  storeFor,
  UnsafeStoreError,
  type Zone,
} from '@hallpass/token-store'
import { type FolderOwner, ownFolder } from './folder-owner.ts'

/** A probe asks every few seconds, and each check writes: often enough to notice, too rare to be a load. */
const CHECK_MS = 1_000
const CHECK_KEY = 'check'
const CHECK_ENTRY_MS = 60_000

export interface IssuerStateOptions {
  readonly store: StorePlace
  readonly clock: Clock
  readonly log: Logger
  /** Replaces the configured store, for tests. */
  readonly makeStore?: typeof storeFor
}

/**
 * Everything that the issuer must not forget, in a store that all replicas share: Redis, or an embedded one for the
 * processes of one machine.
 */
export class IssuerState {
  /** A ring of keys per key ID. */
  readonly keys: Zone
  readonly revocations: Zone
  /** The `jti` of client assertions, until they expire. */
  readonly assertions: Zone
  readonly audit: Zone
  /** The status lists of issued tokens. */
  readonly statuses: Zone
  /** What one replica does for all, e.g. a scheduled rotation. */
  readonly leases: Zone
  readonly #store: SharedStore
  readonly #owner: FolderOwner | undefined
  #checked: { readonly at: number; readonly result: Promise<void> } | undefined

  private constructor(store: SharedStore, owner: FolderOwner | undefined) {
    this.#store = store
    this.#owner = owner
    // Pinned: in Redis never evicted, in lmdb accepted while there is any room.
    this.keys = store.zone('keys', { pinned: true })
    this.revocations = store.zone('revocations', { pinned: true })
    this.assertions = store.zone('assertions', { pinned: true })
    this.audit = store.zone('audit', { pinned: true })
    this.statuses = store.zone('statuses', { pinned: true })
    this.leases = store.zone('leases')
  }

  /**
   * Opens the store. An unreachable Redis is no error: the service starts, is not ready, and answers 503 until it is
   * reachable.
   * @throws {StateFileError} if an embedded store is damaged, or in use by another machine.
   */
  static async open({ store, clock, log, makeStore = storeFor }: IssuerStateOptions): Promise<IssuerState> {
    const owner = store.redis === undefined ? await ownFolder(store.storeFolder) : undefined
    const shared = makeStore(store, {
      clock,
      prefix: 'hallpass-issuer',
      onNotice: (notice) => log.warn({ store: store.redis === undefined ? 'lmdb' : 'redis' }, notice),
      remedy:
        'Restore it from a backup. Without one, delete it: keys are then imported from their PEM files if there are any, revocations are forgotten.',
    })
    const state = new IssuerState(shared, owner)
    try {
      await shared.open()
    } catch (error) {
      await owner?.release()
      throw error
    }
    return state
  }

  get isFull(): boolean {
    return this.#store.isFull
  }

  get kind(): SharedStore['kind'] {
    return this.#store.kind
  }

  /**
   * Checks that the state can be read and changed now, by a write.
   * @throws {StoreUnavailableError} with the reason
   * @throws {UnsafeStoreError} if Redis is allowed to evict what must stay
   */
  check(): Promise<void> {
    const now = performance.now()
    if (!this.#checked || now - this.#checked.at > CHECK_MS)
      this.#checked = { at: now, result: this.#checkNow() }
    return this.#checked.result
  }

  async #checkNow(): Promise<void> {
    // A write also ends the state of a store whose last write failed.
    await this.leases.overrule(CHECK_KEY, { value: '', endsAt: Date.now() + CHECK_ENTRY_MS })
    await this.#store.check()
    const { evictionPolicy: policy, maxBytes } = await this.#store.usage()
    if (maxBytes !== undefined && policy !== undefined && policy !== 'noeviction')
      throw new UnsafeStoreError(
        `Redis may evict what the issuer must not forget (maxmemory-policy ${policy}). Set maxmemory-policy to noeviction.`,
      )
  }

  async close(): Promise<void> {
    await this.#store.close()
    await this.#owner?.release()
  }
}
