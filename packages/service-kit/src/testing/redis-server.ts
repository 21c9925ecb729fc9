import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '@hallpass/free-ports'

/** What a server between machines has: TLS, and a password. */
export interface RedisProtection {
  readonly certFile: string
  readonly keyFile: string
  readonly password: string
}

/** A Redis server for one test, on a free port; it can be killed and restarted with its data. */
export class RedisServer {
  readonly port: number
  readonly #folder: string
  readonly #protection: RedisProtection | undefined
  #process: ChildProcess | undefined

  /** @param protection without it, the port is plain and open */
  static async start(protection?: RedisProtection): Promise<RedisServer> {
    const folder = await mkdtemp(join(tmpdir(), 'hallpass-redis-'))
    const server = new RedisServer(await freePort(), folder, protection)
    await server.start()
    return server
  }

  private constructor(port: number, folder: string, protection: RedisProtection | undefined) {
    this.port = port
    this.#folder = folder
    this.#protection = protection
  }

  get url(): string {
    return this.#protection ? `rediss://localhost:${this.port}` : `redis://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const options = [...this.#listening(), '--bind', '127.0.0.1', '--dir', this.#folder]
    this.#process = spawn(
      'redis-server',
      [...options, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let output = ''
    for await (const chunk of this.#process.stdout as AsyncIterable<Buffer>) {
      output += chunk
      if (output.includes('Ready to accept connections')) break
    }
    if (!output.includes('Ready to accept')) throw new Error(`redis-server did not start:\n${output}`)
  }

  #listening(): string[] {
    if (!this.#protection) return ['--port', `${this.port}`]
    const { certFile, keyFile, password } = this.#protection
    const tls = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-auth-clients', 'no']
    return ['--port', '0', '--tls-port', `${this.port}`, ...tls, '--requirepass', password]
  }

  /** Runs a command and returns the lines of the reply, e.g. of `command('KEYS', '*')`. */
  async command(...words: readonly string[]): Promise<string[]> {
    const { stdout } = await promisify(execFile)('redis-cli', ['-p', `${this.port}`, '--raw', ...words])
    return stdout.split('\n').filter(Boolean)
  }

  /** Returns the stored keys. */
  keys(): Promise<string[]> {
    return this.command('KEYS', '*')
  }

  /** Freezes the server: connections stay open and the kernel accepts data, but nothing is answered until `thaw`. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    if (this.#process?.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }

  /** Kills the server and deletes its data: the next start is that of a server that keeps nothing on disk. */
  async killWithData(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
    await mkdir(this.#folder)
  }

  async remove(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
