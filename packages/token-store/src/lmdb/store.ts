import { statSync } from 'node:fs'
import { join } from 'node:path'
import { ensurePrivateFolder, StateFileError } from '@hallpass/private-files'
import { type Database, type Key, open, type RootDatabase } from 'lmdb'
import { Room } from '../room.ts'
import {
  type SharedStore,
  type StoreOptions,
  StoreUnavailableError,
  type StoreUsage,
  type Zone,
  type ZoneOptions,
} from '../shared-store.ts'
import { checkLmdbFile } from './check-file.ts'
import { LmdbRoom } from './room.ts'
import { LmdbWrites } from './writes.ts'
import { LmdbZone } from './zone.ts'

export interface LmdbStoreOptions extends StoreOptions {
  /** Created if missing; its files are owner-only (0600). */
  readonly folder: string
  /** Returns the free space on the folder's disk, in bytes. Default: asks the system. */
  readonly freeBytes?: () => number
}

/** Four databases per zone. A service has fewer than ten zones; the rest is spare, at a hundred bytes per transaction. */
const MAX_DATABASES = 256
/**
 * Address space (not memory or disk) for eight million entries; beyond that, lmdb doubles it. lmdb's own default of
 * 128 KB would double thirteen times up to a million entries and keep each old map: twice the pages.
 */
const MAP_BYTES = 8 * 2 ** 30
/** How long to wait for pending writes: a writer hung by a full disk must not keep the process from exiting. */
const CLOSE_TIMEOUT_MS = 1_000

/**
 * A store that processes on one machine share through memory-mapped files: a read takes microseconds and needs no
 * message. lmdb never overwrites committed data, so a process that is killed while writing leaves the last
 * committed state, and its locks are released.
 */
export class LmdbStore implements SharedStore {
  readonly kind = 'lmdb'
  readonly #options: LmdbStoreOptions
  readonly #path: string
  readonly #state: Room
  readonly #room: LmdbRoom
  readonly #writes: LmdbWrites
  readonly #zones = new Map<string, LmdbZone>()
  #root: RootDatabase | undefined

  constructor(options: LmdbStoreOptions) {
    this.#options = options
    this.#path = join(options.folder, 'store')
    this.#state = new Room(options.onNotice)
    this.#room = new LmdbRoom(options.folder, this.#state, options.freeBytes)
    this.#writes = new LmdbWrites(this.#path, options.onNotice)
  }

  get isFull(): boolean {
    return this.#state.isFull
  }

  async open(): Promise<void> {
    await ensurePrivateFolder(this.#options.folder)
    const path = this.#path
    const remedy =
      this.#options.remedy ??
      `Restore ${path} from a backup, or delete it and start again: its entries are lost.`
    await checkLmdbFile(join(path, 'data.mdb'), remedy)
    await this.#writes.open(() => this.#openRoot(remedy))
    for (const zone of this.#zones.values()) this.#writes.whenFree(() => zone.start())
  }

  #openRoot(remedy: string): void {
    const path = this.#path
    try {
      this.#root = open({
        path,
        maxDbs: MAX_DATABASES,
        mapSize: MAP_BYTES,
        permissionsMode: 0o600,
        // A write resolves when it is on the disk (fsync), and there is one lock instead of two: by default, lmdb-js resolves
        // it before, and takes another lock for the fsync, for which closing the store would also wait.
        overlappingSync: false,
      } as Parameters<typeof open>[0])
    } catch (error) {
      // E.g. no permission, no space left on the disk.
      const { message } = error as Error
      throw new StateFileError(
        path,
        `lmdb could not open it (${message})`,
        remedyFor(message) ?? remedy,
        error,
      )
    }
    this.#room.open(this.#root)
    // Slots of killed readers would keep old pages from being reused.
    this.#root.readerCheck()
  }

  async close(): Promise<void> {
    const root = this.#root
    this.#root = undefined
    let timer: NodeJS.Timeout | undefined
    const stopped = Promise.all([...this.#zones.values()].map((zone) => zone.stop()))
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS)
    })
    await Promise.race([stopped, late])
    clearTimeout(timer)
    if (this.#writes.close()) endWithoutLmdb()
    else await root?.close()
  }

  zone(name: string, { pinned = false }: ZoneOptions = {}): Zone {
    let zone = this.#zones.get(name)
    if (!zone) {
      zone = new LmdbZone({
        openDatabase: <V, K extends Key>(part: string, versions: boolean) =>
          this.#database<V, K>(`${name}.${part}`, versions),
        room: this.#room,
        writes: this.#writes,
        pinned,
        clock: this.#options.clock ?? Date.now,
      })
      this.#zones.set(name, zone)
      const made = zone
      if (this.#root) this.#writes.whenFree(() => made.start())
    }
    return zone
  }

  async check(): Promise<void> {
    if (!this.#root) throw new StoreUnavailableError(new Error('not open'))
    this.#writes.admit()
    this.#room.check()
  }

  async usage(): Promise<StoreUsage> {
    try {
      return { usedBytes: statSync(join(this.#path, 'data.mdb')).size }
    } catch {
      return {}
    }
  }

  #database<V, K extends Key>(name: string, useVersions: boolean): Database<V, K> {
    if (!this.#root) throw new StoreUnavailableError(new Error('not open'))
    const database = this.#root.openDB<V, K>({ name, useVersions })
    this.#room.add(database as unknown as Database<unknown, never>)
    return database
  }
}

/** The file is not damaged; to delete it would lose its entries. */
function remedyFor(message: string): string | undefined {
  if (/permission denied|operation not permitted/i.test(message))
    return 'Give this user access to it (chown, chmod).'
  if (/read-only file system/i.test(message)) return 'Mount its file system for writing.'
  return /no space left/i.test(message) ? 'Make room on its disk.' : undefined
}

/**
 * Makes the exit of this process skip lmdb's own cleanup, which waits for the pending write. Committed entries are safe:
 * lmdb's file is intact after a kill at any time.
 */
function endWithoutLmdb(): void {
  process.once('exit', () => process.kill(process.pid, 'SIGKILL'))
}
