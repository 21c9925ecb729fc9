import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { join } from 'node:path'

/** The process that holds lmdb's write lock. */
export interface LockHolder {
  /** Undefined if the thread that holds the lock is not visible here, e.g. because it runs in another container. */
  readonly pid?: number
  readonly command?: string
  /** True if the process was stopped (SIGSTOP, a debugger), so that it will not release the lock by itself. */
  readonly isStopped: boolean
}

/**
 * The offset of the write mutex in lmdb's lock file (MDB_txninfo in mdb.c): after the header and the readers' mutex,
 * rounded up to a cache line of 64 bytes. The sizes are those of glibc's pthread_mutex_t: 40 bytes, on arm64 48.
 */
const MUTEX_OFFSET: { readonly [arch: string]: number } = { x64: 64, arm64: 128 }
/** glibc stores the thread ID of the owner in the lower 30 bits of a robust mutex; the upper two are flags. */
const OWNER_MASK = 0x3fff_ffff
/** A holder that ran a moment ago needs no second look: with several writers, the lock is nearly always held. */
const RUNNING_MS = 20

/**
 * Finds out who holds lmdb's write lock, without taking it: lmdb waits for the lock without a time limit, so a process
 * that was stopped while it writes would stop every other writer. Elsewhere than on Linux with glibc, the holder is unknown.
 */
export class WriteLock {
  readonly #file: string
  #memory: number | undefined
  #address = 0
  #last: { tid: number; holder: LockHolder; until: number } = {
    tid: 0,
    holder: { isStopped: false },
    until: 0,
  }

  /** @param path lmdb's folder, with `lock.mdb` in it. */
  constructor(path: string) {
    this.#file = join(path, 'lock.mdb')
  }

  /**
   * Starts to read the mutex where lmdb has mapped it. Not from the file: closing a file releases the locks that a process
   * has on it (POSIX), and lmdb marks its readers with such locks.
   */
  open(): void {
    this.close()
    try {
      const address = mappedAt(this.#file)
      if (address === undefined) return
      this.#memory = openSync('/proc/self/mem', 'r')
      this.#address = address
    } catch {}
  }

  close(): void {
    if (this.#memory !== undefined) closeSync(this.#memory)
    this.#memory = undefined
  }

  /** Returns the holder, or undefined if the lock is free, or held by this process, or if the holder is unknown. */
  holder(): LockHolder | undefined {
    const tid = this.#owner()
    if (tid === 0) return undefined
    const now = performance.now()
    if (this.#last.tid !== tid || this.#last.holder.isStopped || now > this.#last.until)
      this.#last = { tid, holder: describe(tid), until: now + RUNNING_MS }
    const { holder } = this.#last
    return holder.pid === process.pid ? undefined : holder
  }

  #owner(): number {
    const offset = MUTEX_OFFSET[arch()]
    if (platform() !== 'linux' || offset === undefined) return 0
    const word = Buffer.alloc(4)
    try {
      if (this.#memory !== undefined) readSync(this.#memory, word, 0, 4, this.#address + offset)
      // Before lmdb is open in this process, there are no locks that closing the file could release.
      else if (mappedAt(this.#file) === undefined) readFileSync(this.#file).copy(word, 0, offset, offset + 4)
    } catch {
      return 0
    }
    return word.readUInt32LE(0) & OWNER_MASK
  }
}

/**
 * A line of proc_pid_maps(5): addresses, permissions, offset, device, inode, path. The path may contain spaces, and only a
 * file named `lock.mdb` is of interest: files of other file systems can have the same inode.
 */
const MAPPING =
  /^(?<address>[0-9a-f]+)-[0-9a-f]+ \S+ (?<offset>[0-9a-f]+) \S+ (?<inode>\d+) +.*\/lock\.mdb(?: \(deleted\))?$/

/** Returns the address at which this process has mapped a file from its start. @throws {Error} with another C library */
function mappedAt(file: string): number | undefined {
  const { ino } = statSync(file)
  const maps = readFileSync('/proc/self/maps', 'utf8')
  // musl's mutex has another layout.
  if (maps.includes('/ld-musl-')) throw new Error('not glibc')
  for (const line of maps.split('\n')) {
    const { address = '', offset = '', inode } = MAPPING.exec(line)?.groups ?? {}
    if (inode === String(ino) && Number.parseInt(offset, 16) === 0) return Number.parseInt(address, 16)
  }
  return undefined
}

function describe(tid: number): LockHolder {
  try {
    const status = readFileSync(`/proc/${tid}/status`, 'utf8')
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''
    const pid = Number(field('Tgid'))
    const command = readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
    // T: stopped by a signal; t: stopped by a debugger (proc_pid_stat(5)).
    return { pid, command, isStopped: /^T/i.test(field('State')) }
  } catch {
    return { isStopped: false }
  }
}

/** Says who blocks the writes, and what the operator can do. */
export function explain(path: string, holder: LockHolder | undefined): string {
  if (holder?.pid === undefined) return `another process holds the write lock of ${path}`
  const who = `process ${holder.pid} (${holder.command})`
  return holder.isStopped
    ? `${who} holds the write lock of ${path} and was stopped: continue it (kill -CONT ${holder.pid}) or end it (kill -KILL ${holder.pid})`
    : `${who} holds the write lock of ${path}`
}
