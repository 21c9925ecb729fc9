import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { workloadAddress } from '@hallpass/spiffe-agent/client'

/** The suite's agent, server and proxy, each in its own process as with `npm start`, on free ports. */
export class SpiffeServices {
  readonly #root: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'bench-spiffe-'))
  readonly #children: ChildProcess[] = []

  constructor(root: string) {
    this.#root = root
  }

  /** Returns the address of the agent for a workload. */
  address(name: string): string {
    return workloadAddress(this.#folder, name)
  }

  /** Starts a service from its bundle and returns its URLs. */
  async start(name: string, env: Readonly<Record<string, string>> = {}): Promise<Record<string, string>> {
    const child = spawn(process.execPath, [join(this.#root, '.hallpass/bundles', `${name}.cjs`)], {
      env: {
        PATH: process.env.PATH,
        STATE_FOLDER: this.#folder,
        ...{ PORT: '0', HEALTH_PORT: '0', BUNDLE_ENDPOINT_PORT: '0' },
        ...env,
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#children.push(child)
    return new Promise((resolve, reject) => {
      child.once('message', (message) => resolve((message as { ready: Record<string, string> }).ready))
      child.once('exit', (code) => reject(new Error(`${name} exited with ${code}`)))
    })
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    }
    rmSync(this.#folder, { recursive: true })
  }
}
