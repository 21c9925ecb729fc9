import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'

const START_TIMEOUT_MS = 10_000
const BUNDLES = join(import.meta.dirname, '../.hallpass/bundles')

/** A service as `npm start` runs it, in a process that a test can kill and restart. */
export class ServiceProcess {
  log = ''
  readonly #service: string
  readonly #port: number
  readonly #env: Readonly<Record<string, string>>
  #process: ChildProcess | undefined

  /** @param port on which it listens after its start. */
  constructor(service: string, port: number, env: Readonly<Record<string, string>>) {
    this.#service = service
    this.#port = port
    this.#env = env
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [join(BUNDLES, `${this.#service}.cjs`)], {
      env: { PATH: process.env.PATH, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const output of [child.stdout, child.stderr])
      output.on('data', (chunk: Buffer) => {
        this.log += chunk
      })
    this.#process = child
    const deadline = performance.now() + START_TIMEOUT_MS
    while (child.exitCode === null && performance.now() < deadline) {
      if (await accepts(this.#port)) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`${this.#service} does not listen:\n${this.log.slice(-2_000)}`)
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null
  }

  /** Returns its current resident memory. */
  async residentMegabytes(): Promise<number> {
    const text = await readFile(`/proc/${this.#process?.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) / 1024
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, 'localhost')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
