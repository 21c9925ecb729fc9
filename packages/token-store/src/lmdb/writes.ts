import { StoreLockedError, type StoreOptions } from '../shared-store.ts'
import { explain, WriteLock } from './write-lock.ts'

const TICK_MS = 100
/**
 * How many ticks (a second) a write may wait for the lock; a commit takes milliseconds. Ticks and not time, so that a
 * process that was itself suspended does not give up its writes when it continues.
 */
const PATIENCE_TICKS = 10
/** How long a process that starts waits for the lock: longer than a restart or a debugger's step takes. */
const OPEN_TIMEOUT_MS = 5_000

interface Pending {
  ticks: number
  readonly giveUp: () => void
}

/**
 * The writes of one store that lmdb has not committed yet. lmdb's native code waits for the write lock without a limit, so
 * callers wait at most a second, and no write is started while another cannot proceed.
 */
export class LmdbWrites {
  readonly #path: string
  readonly #lock: WriteLock
  readonly #onNotice: (notice: string) => void
  readonly #pending = new Set<Pending>()
  readonly #waiting: (() => void)[] = []
  #overdue = 0
  /** The last reported state. */
  #blocked = false
  #timer: NodeJS.Timeout | undefined

  constructor(path: string, onNotice: StoreOptions['onNotice'] = () => {}) {
    this.#path = path
    this.#lock = new WriteLock(path)
    this.#onNotice = onNotice
  }

  /** Calls `open`, which waits for the lock, when no stopped process holds it. @throws {StoreLockedError} after five seconds */
  async open(open: () => void): Promise<void> {
    for (const deadline = performance.now() + OPEN_TIMEOUT_MS; ; ) {
      const holder = this.#lock.holder()
      if (!holder?.isStopped) break
      if (performance.now() > deadline) throw new StoreLockedError(explain(this.#path, holder))
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    }
    open()
    this.#lock.open()
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#timer.unref()
  }

  /** Returns whether writes are still pending, which are given up: then lmdb must not be closed. */
  close(): boolean {
    clearInterval(this.#timer)
    this.#lock.close()
    this.#waiting.length = 0
    for (const { giveUp } of this.#pending) giveUp()
    return this.#pending.size > 0
  }

  /** Calls `work`, which waits for the lock, now or when writes are possible again. */
  whenFree(work: () => void): void {
    if (this.isBlocked) this.#waiting.push(work)
    else work()
  }

  /** Checks that a write can proceed. It is definite: after this error, the write was not tried. @throws {StoreLockedError} */
  admit(): void {
    const holder = this.#lock.holder()
    const isBlocked = this.#overdue > 0 || holder?.isStopped === true
    if (isBlocked) {
      const reason = explain(this.#path, holder)
      if (!this.#blocked) this.#onNotice(`writes to the store are blocked: ${reason}; reads continue`)
      this.#blocked = true
      throw new StoreLockedError(reason)
    }
    if (this.#blocked) this.#onNotice('writes to the store continue')
    this.#blocked = false
  }

  /** Returns whether a write could proceed now, without an error. */
  get isBlocked(): boolean {
    try {
      this.admit()
      return false
    } catch {
      return true
    }
  }

  /** Returns the result of a write. @throws {StoreLockedError} after a second; lmdb may still commit the write later */
  bounded<T>(write: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        ticks: 0,
        giveUp: () => reject(new StoreLockedError(explain(this.#path, this.#lock.holder()))),
      }
      this.#pending.add(pending)
      write.then(resolve, reject).finally(() => {
        this.#pending.delete(pending)
        if (pending.ticks >= PATIENCE_TICKS) this.#overdue -= 1
      })
    })
  }

  #tick(): void {
    // Not only if this call ends the blocked state: another write may have noticed the end first.
    if ((this.#blocked || this.#waiting.length > 0) && !this.isBlocked)
      for (const work of this.#waiting.splice(0)) work()
    for (const pending of this.#pending) {
      pending.ticks += 1
      if (pending.ticks !== PATIENCE_TICKS) continue
      this.#overdue += 1
      pending.giveUp()
    }
  }
}
