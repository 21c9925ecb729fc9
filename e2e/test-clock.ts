import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PRELOAD = join(import.meta.dirname, 'shift-clock.cjs')

/**
 * A clock for services in other processes, which a test can advance instead of waiting for an expiry. It keeps running;
 * timers use the machine's time.
 */
export class TestClock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'hallpass-clock-'))
  readonly #file = openSync(join(this.#folder, 'ahead'), 'w')
  #aheadMs = 0

  constructor() {
    this.set(0)
  }

  /** The environment of each process with this clock. */
  get env() {
    return {
      NODE_OPTIONS: `--require=${JSON.stringify(PRELOAD)}`,
      TEST_CLOCK_FILE: join(this.#folder, 'ahead'),
    }
  }

  /** Returns the time of the services. */
  readonly now = (): number => Date.now() + this.#aheadMs

  /** Sets by how much it is ahead of the machine's clock. */
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
