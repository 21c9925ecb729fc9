import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where `.ci/install-peers providers` installs them. */
export const peersFolder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hallpass/peers')

/** Java starts in 2 s, and in far more on a busy machine. */
const START_TIMEOUT_MS = 60_000
const POLL_MS = 100

/** A provider that is a program of its own, which a test can stop and start again with other settings. */
export class ProviderProcess {
  readonly #program: string
  readonly #args: readonly string[]
  /** Answers 200 once the provider runs. */
  readonly #probe: string
  #process: ChildProcess | undefined
  #log = ''

  constructor(program: string, args: readonly string[], probe: string) {
    this.#program = program
    this.#args = args
    this.#probe = probe
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const child = spawn(this.#program, this.#args, {
      env: { PATH: process.env.PATH, ...env },
      // A process group: some programs are scripts that wait for another process.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const output of [child.stdout, child.stderr])
      output.on('data', (chunk: Buffer) => {
        this.#log += chunk
      })
    this.#process = child
    const deadline = performance.now() + START_TIMEOUT_MS
    while (child.exitCode === null && performance.now() < deadline) {
      if (await isReady(this.#probe)) return
      await sleep(POLL_MS)
    }
    await this.kill()
    throw new Error(`${this.#program} did not start:\n${this.#log.slice(-2_000)}`)
  }

  /** These programs keep no state that a signal to end could save. */
  async kill(): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    // After the end of its output, which all processes of the group have open.
    const closed = once(child, 'close')
    process.kill(-(child.pid as number), 'SIGKILL')
    await closed
  }
}

const isReady = (url: string) =>
  fetch(url).then(
    (response) => response.ok,
    () => false,
  )
