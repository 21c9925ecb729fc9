import { statfsSync } from 'node:fs'
import type { Database, RootDatabase } from 'lmdb'
import type { Room } from '../room.ts'
import { StoreFullError } from '../shared-store.ts'

/**
 * The maximum growth of the file by one write, in addition to its value: a leaf page in each of two databases, and the rest
 * of the value's last page. Writes that are committed together share the branch pages.
 */
const WRITE_BYTES = 16 * 1024
/** Reserved for pinned entries (blocks) and removals, some hundreds of each; other entries are rejected earlier. */
const RESERVE_BYTES = 256 * 1024
/** Twice the reserve must be free before a full store counts as recovered, so that the state does not flap. */
const RECOVERED_BYTES = 2 * RESERVE_BYTES
/** Never used by us: covers writes of other processes between the check and the commit. */
const FLOOR_BYTES = 64 * 1024

/** `entry`: may be rejected. `vital`: pinned entries and removals. */
export type WriteKind = 'entry' | 'vital'

/**
 * Decides whether lmdb may write. On a full disk, lmdb's native code overruns a buffer, which crashes the process or hangs
 * its writer. So the free space on the disk, and inside the file, is checked before each write.
 */
export class LmdbRoom {
  readonly #folder: string
  readonly #freeBytes: () => number
  readonly #room: Room
  readonly #databases = new Set<Database<unknown, never>>()
  #root: RootDatabase | undefined
  #pending = 0
  /** The bytes of the values that are being written. */
  #pendingBytes = 0
  /** Why the last write failed. Cleared by the next successful write. */
  #failure: string | undefined

  constructor(folder: string, room: Room, freeBytes = () => freeBytesOf(folder)) {
    this.#folder = folder
    this.#room = room
    this.#freeBytes = freeBytes
  }

  open(root: RootDatabase): void {
    this.#root = root
    this.#databases.clear()
  }

  add(database: Database<unknown, never>): void {
    this.#databases.add(database)
  }

  /** Checks that there is room for a write. @throws {StoreFullError} if the write must not be tried. */
  admit(kind: WriteKind, bytes = 0): void {
    const free = this.#freeBytes()
    const pending = this.#pending * WRITE_BYTES + this.#pendingBytes
    const needed = (kind === 'vital' ? FLOOR_BYTES : RESERVE_BYTES) + pending + bytes
    if (free >= Math.max(needed, RECOVERED_BYTES)) {
      this.#recovered()
      return
    }
    const inside = this.#freeInside()
    // lmdb usually reuses free pages inside the file, but not always: this write must fit on the disk, too.
    const roomy = free >= 2 * FLOOR_BYTES + pending + bytes ? Math.max(free, inside) : free
    if (roomy >= RECOVERED_BYTES) this.#recovered()
    if (roomy >= needed) return
    const reason = `the disk of ${this.#folder} has ${Math.floor(free / 1024)} KB left`
    // A burst of writes is temporary and not reported; lack of space is.
    if (Math.max(free, inside) < RESERVE_BYTES) this.#room.full(reason)
    throw new StoreFullError(reason)
  }

  /**
   * How many more removals may run concurrently: each copies its page and frees the old one only afterwards. Leaves room
   * for a block.
   */
  get removals(): number {
    return Math.floor((this.#freeBytes() - 2 * FLOOR_BYTES) / WRITE_BYTES) - this.#pending
  }

  #recovered(): void {
    if (this.#failure === undefined) this.#room.free()
  }

  /** Checks the store's state. @throws {StoreFullError} if there is no room for an entry, or the last write failed. */
  check(): void {
    this.admit('entry')
    if (this.#failure !== undefined) throw new StoreFullError(this.#failure)
  }

  /** Counts a write as pending until it settles, and records whether it failed. */
  async during<T>(write: Promise<T>, bytes = 0): Promise<T> {
    this.#pending += 1
    this.#pendingBytes += bytes
    try {
      const answer = await write
      if (this.#failure !== undefined) this.#room.free()
      this.#failure = undefined
      return answer
    } catch (error) {
      this.#failure = `the last write to ${this.#folder} failed`
      this.#room.full(this.#failure)
      throw error
    } finally {
      this.#pending -= 1
      this.#pendingBytes -= bytes
    }
  }

  /** Returns the bytes in free pages of the file, which lmdb reuses before the file grows. */
  #freeInside(): number {
    if (!this.#root) return 0
    const stats = this.#root.getStats() as unknown as Stats
    const used = [stats.root, stats.free, ...Array.from(this.#databases, (one) => one.getStats() as Stats)]
      .map((one) => one.treeBranchPageCount + one.treeLeafPageCount + one.overflowPages)
      .reduce((sum, pages) => sum + pages, META_PAGES)
    return Math.max(0, stats.lastPageNumber + 1 - used) * stats.pageSize
  }
}

const META_PAGES = 2

interface Stats {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
  readonly lastPageNumber: number
  readonly root: Stats
  readonly free: Stats
}

function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
