import { join } from 'node:path'
import { ensurePrivateFolder } from '@hallpass/private-files'
import { type Database, type Key, open, type RootDatabase } from 'lmdb'
import { LmdbZone } from './lmdb-zone.ts'
import { type SharedStore, StoreUnavailableError, type Zone } from './shared-store.ts'

export interface LmdbStoreOptions {
  /** Made when it is not there; its files are for their owner alone. */
  readonly folder: string
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
}

/** Four for each zone. The tier has two zones; the rest is room. */
const MAX_DATABASES = 64
/**
 * Address space, neither memory nor disk, for eight million entries; beyond that it doubles. lmdb's own beginning of
 * 128 KB doubles thirteen times up to a million, and keeps each old map beside the new one: twice the pages.
 */
const MAP_BYTES = 8 * 2 ** 30

/**
 * A store that the processes of one machine share through memory-mapped files: a read costs microseconds and no
 * message. lmdb never overwrites what it has committed, so a process that is killed while it writes leaves the last
 * good state, and its locks fall with it.
 */
export class LmdbStore implements SharedStore {
  readonly kind = 'lmdb'
  readonly #options: LmdbStoreOptions
  readonly #zones = new Map<string, LmdbZone>()
  #root: RootDatabase | undefined

  constructor(options: LmdbStoreOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    await ensurePrivateFolder(this.#options.folder)
    this.#root = open({
      path: join(this.#options.folder, 'store'),
      maxDbs: MAX_DATABASES,
      mapSize: MAP_BYTES,
      permissionsMode: 0o600,
    } as Parameters<typeof open>[0])
    // Readers that were killed would keep old pages from being used again.
    this.#root.readerCheck()
    for (const zone of this.#zones.values()) zone.start()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#zones.values()].map((zone) => zone.stop()))
    const root = this.#root
    this.#root = undefined
    await root?.close()
  }

  zone(name: string): Zone {
    let zone = this.#zones.get(name)
    if (!zone) {
      zone = new LmdbZone(
        <V, K extends Key>(part: string, versions: boolean) =>
          this.#database<V, K>(`${name}.${part}`, versions),
        this.#options.clock,
      )
      this.#zones.set(name, zone)
      if (this.#root) zone.start()
    }
    return zone
  }

  async check(): Promise<void> {
    if (!this.#root) throw new StoreUnavailableError(new Error('it is not open'))
  }

  #database<V, K extends Key>(name: string, useVersions: boolean): Database<V, K> {
    if (!this.#root) throw new StoreUnavailableError(new Error('it is not open'))
    return this.#root.openDB<V, K>({ name, useVersions })
  }
}
