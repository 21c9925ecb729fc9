import { statfsSync } from 'node:fs'
import type { Database, RootDatabase } from 'lmdb'
import type { Room } from './room.ts'
import { StoreFullError } from './shared-store.ts'

/**
 * What a write may add to the file until it is committed: a leaf in each of two databases, and a value of two pages.
 * Writes that are committed together share the pages above.
 */
const WRITE_BYTES = 16 * 1024
/** Kept for pinned entries (blocks) and for removals, some hundreds of each; other entries are refused before. */
const RESERVE_BYTES = 256 * 1024
/** As much again before a full store counts as one with room, so that it does not change with every burst. */
const RECOVERED_BYTES = 2 * RESERVE_BYTES
/** Never used: what another process writes between the look and the commit. */
const FLOOR_BYTES = 64 * 1024

/** `entry`: one that may be refused. `vital`: pinned entries, and whatever makes room. */
export type WriteKind = 'entry' | 'vital'

/**
 * Whether lmdb may write. It must not meet a full disk: its native part then overruns a buffer, which ends the process
 * or leaves its writer hanging. So the room on the disk, and in the file itself, is looked at before each write.
 */
export class LmdbRoom {
  readonly #folder: string
  readonly #freeBytes: () => number
  readonly #room: Room
  readonly #databases = new Set<Database<unknown, never>>()
  #root: RootDatabase | undefined
  #underWay = 0
  /** Why the last write failed; until one succeeds, nobody knows whether the next one will. */
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

  /** @throws {StoreFullError} when the write must not be tried. */
  admit(kind: WriteKind): void {
    const free = this.#freeBytes()
    const needed = (kind === 'vital' ? FLOOR_BYTES : RESERVE_BYTES) + this.#underWay * WRITE_BYTES
    if (free >= Math.max(needed, RECOVERED_BYTES)) {
      this.#recovered()
      return
    }
    const inside = this.#freeInside()
    // lmdb takes the pages inside the file first, but not always: this write must fit on the disk, too.
    const roomy = free >= 2 * FLOOR_BYTES + this.#underWay * WRITE_BYTES ? Math.max(free, inside) : free
    if (roomy >= RECOVERED_BYTES) this.#recovered()
    if (roomy >= needed) return
    const reason = `the disk of ${this.#folder} has ${Math.floor(free / 1024)} KB left`
    // A burst of writes passes; a lack of room is a state.
    if (Math.max(free, inside) < RESERVE_BYTES) this.#room.full(reason)
    throw new StoreFullError(reason)
  }

  /**
   * How many removals may be under way at once: each copies its page, and the old one is free only afterwards. A block
   * must still fit beside them.
   */
  get removals(): number {
    return Math.floor((this.#freeBytes() - 2 * FLOOR_BYTES) / WRITE_BYTES) - this.#underWay
  }

  #recovered(): void {
    if (this.#failure === undefined) this.#room.free()
  }

  /** @throws {StoreFullError} when there is no room for an entry, or the last write failed. */
  check(): void {
    this.admit('entry')
    if (this.#failure !== undefined) throw new StoreFullError(this.#failure)
  }

  /** Counts a write until it is over, and remembers that one failed. */
  async during<T>(write: Promise<T>): Promise<T> {
    this.#underWay += 1
    try {
      const answer = await write
      if (this.#failure !== undefined) this.#room.free()
      this.#failure = undefined
      return answer
    } catch (error) {
      this.#failure = `the last write into ${this.#folder} failed`
      this.#room.full(this.#failure)
      throw error
    } finally {
      this.#underWay -= 1
    }
  }

  /** Pages of the file that entries have left, and that lmdb writes to before the file grows. */
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
