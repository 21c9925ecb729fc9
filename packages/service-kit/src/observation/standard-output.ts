import { writeSync } from 'node:fs'

/** What a service keeps for a reader that has stopped reading: minutes of a busy log. Later lines are dropped and counted. */
const MAX_PENDING = 8 * 1024 * 1024
/** How often a full pipe is tried again. */
const RETRY_MS = 20
/** How long an ending process waits for a reader that does not read. */
const LAST_TRIES = 25

/**
 * Writes lines to standard output without ever stopping the service: those of one turn of the event loop together (under
 * load a line's share of a system call is a tenth), later when the pipe is full, and not at all when its reader is gone.
 * What a process has logged before it exits is written, whatever the reason. sonic-boom, which pino brings, tries for
 * ever to write to a reader that is gone (its flushSync repeats EPIPE), so a service would outlive its launcher.
 */
export class StandardOutput {
  readonly #fd: number
  #pending = ''
  /** What did not fit the last time, which may begin within a character. */
  #rest = Buffer.alloc(0)
  #scheduled = false
  #dropped = 0
  #isGone = false

  constructor(fd = 1) {
    this.#fd = fd
    process.on('exit', () => this.#flushAtExit())
  }

  write(line: string): void {
    if (this.#isGone) return
    if (this.#pending.length + this.#rest.length > MAX_PENDING) {
      this.#dropped += 1
      return
    }
    this.#pending += line
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#writeWhatFits()) return
    this.#scheduled = true
    setTimeout(() => this.#flush(), RETRY_MS).unref()
  }

  /** @returns whether nothing is left to be written */
  #writeWhatFits(): boolean {
    if (this.#isGone) return true
    const lines = Buffer.from(this.#pending)
    const bytes = this.#rest.length === 0 ? lines : Buffer.concat([this.#rest, lines])
    this.#pending = ''
    let written = 0
    try {
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Nobody reads any more: the service goes on without a log.
      if (code !== 'EAGAIN' && code !== 'EBUSY') this.#isGone = true
    }
    this.#rest = this.#isGone ? Buffer.alloc(0) : bytes.subarray(written)
    if (this.#rest.length > 0) return false
    if (this.#dropped === 0) return true
    const msg = `${this.#dropped} log lines were dropped: nobody read the log`
    this.#dropped = 0
    this.#pending = `${JSON.stringify({ level: 40, time: new Date().toISOString(), msg })}\n`
    return this.#writeWhatFits()
  }

  #flushAtExit(): void {
    const sleeper = new Int32Array(new SharedArrayBuffer(4))
    for (let tries = 0; !this.#writeWhatFits() && tries < LAST_TRIES; tries += 1)
      Atomics.wait(sleeper, 0, 0, RETRY_MS)
  }
}
