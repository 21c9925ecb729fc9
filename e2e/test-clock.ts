import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PRELOAD = join(import.meta.dirname, 'shift-clock.cjs')

/**
 * A clock for services in other processes that a test puts forward, so that it need not sleep through an expiry. It goes on
 * by itself, too. Timers keep the machine's time.
 */
export class TestClock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'hallpass-clock-'))
  readonly #file = openSync(join(this.#folder, 'ahead'), 'w')
  #aheadMs = 0

  constructor() {
    this.set(0)
  }

  /** For each process that goes by this clock. */
  get env() {
    return {
      NODE_OPTIONS: `--require=${JSON.stringify(PRELOAD)}`,
      TEST_CLOCK_FILE: join(this.#folder, 'ahead'),
    }
  }

  /** The time that the services see. */
  readonly now = (): number => Date.now() + this.#aheadMs

  /** Sets how far it is ahead of the machine's. */
  set(milliseconds: number): void {
    this.#aheadMs = milliseconds
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleLE(milliseconds)
    writeSync(this.#file, bytes, 0, 8, 0)
  }

  advance(seconds: number): void {
    this.set(this.#aheadMs + seconds * 1_000)
  }

  remove(): void {
    closeSync(this.#file)
    rmSync(this.#folder, { recursive: true })
  }
}
