import { writeSync } from 'node:fs'

/**
 * Buffered output for a reader that has stopped reading: minutes of a busy log. Later lines are dropped and counted.
 */
const MAX_PENDING = 8 * 1024 * 1024
/** How often writing to a full pipe is retried. */
const RETRY_MS = 20
/** How often an exiting process retries before it gives up on its reader. */
const LAST_TRIES = 25

/**
 * Writes lines to standard output without ever blocking the service: all lines of one turn of the event loop together
 * (under load this cuts system calls to a tenth), later if the pipe is full, and not at all if its reader has gone
 * away. Everything logged before the process exits is written. pino's default, sonic-boom, retries forever when its
 * reader has gone away (its flushSync repeats EPIPE), so a service would outlive its launcher.
 */
export class StandardOutput {
  readonly #fd: number
  #pending = ''
  /** The bytes that did not fit last time; they may begin within a character. */
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

  /** @returns whether everything has been written */
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
      // The reader has closed the pipe: the service continues without a log.
      if (code !== 'EAGAIN' && code !== 'EBUSY') this.#isGone = true
    }
    this.#rest = this.#isGone ? Buffer.alloc(0) : bytes.subarray(written)
    if (this.#rest.length > 0) return false
    if (this.#dropped === 0) return true
    const msg = `${this.#dropped} log lines were dropped: standard output was not read`
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
