import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Engine, run } from './engine.ts'

const READY_DEADLINE_MS = 240_000
const LOOK_AGAIN_MS = 500
/** Interval of progress lines, which show that a long wait has not hung. */
const TELL_MS = 10_000

export interface ComposeProjectOptions {
  readonly engine: Engine
  /** The folder of docker-compose.yml. */
  readonly root: string
  readonly name: string
  /** An address of this machine; the containers' ports are published only there. */
  readonly address: string
  /** For cookies, certificates and streams. */
  readonly folder: string
}

export interface Answer {
  readonly status: number
  readonly body: string
}

/** The containers of one `docker-compose up`, called with curl as a user would. */
export class ComposeProject {
  readonly #options: ComposeProjectOptions
  readonly #env: NodeJS.ProcessEnv
  readonly #startedAt = Date.now()

  constructor(options: ComposeProjectOptions) {
    this.#options = options
    this.#env = { ...options.engine.env, BIND: options.address, COMPOSE_PROJECT_NAME: options.name }
  }

  /** Prints a line of progress immediately: Jest holds back logged lines until a test file is done. */
  say(text: string): void {
    process.stderr.write(
      `${String(Math.round((Date.now() - this.#startedAt) / 1000)).padStart(5)} s  ${text}\n`,
    )
  }

  docker(...args: string[]): string {
    return run('docker', args, { env: this.#env, cwd: this.#options.root })
  }

  compose(...args: string[]): string {
    return run('docker-compose', args, { env: this.#env, cwd: this.#options.root })
  }

  script(file: string): string {
    return run('bash', [file], { env: this.#env, cwd: this.#options.root })
  }

  container(service: string): string {
    return `${this.#options.name}_${service}_1`
  }

  inside(service: string, ...command: string[]): string {
    return this.docker('exec', this.container(service), ...command).trim()
  }

  kill(...services: string[]): void {
    this.say(`killing ${services.join(', ')}`)
    this.docker('kill', ...services.map((service) => this.container(service)))
  }

  start(...services: string[]): void {
    this.say(`starting ${services.join(', ')}`)
    this.docker('start', ...services.map((service) => this.container(service)))
  }

  /** `service status`, e.g. `redis Up 2 minutes (healthy)`. */
  states(): string[] {
    const label = `label=com.docker.compose.project=${this.#options.name}`
    return this.docker('ps', '--all', '--filter', label, '--format', '{{.Names}} {{.Status}}')
      .trim()
      .split('\n')
      .map((line) => line.replace(`${this.#options.name}_`, '').replace(/_1 /, ' '))
  }

  async untilHealthy(): Promise<void> {
    await this.until('everything is healthy', () => this.#notYet().length === 0)
  }

  #notYet(): string[] {
    return this.states().filter((line) => !/\(healthy\)|Exited \(0\)/.test(line))
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = Date.now() + READY_DEADLINE_MS
    for (let toldAt = Date.now(); !isSo(); ) {
      if (Date.now() > deadline)
        throw new Error(
          `timed out after ${READY_DEADLINE_MS / 1000} s, waiting until ${what}\n${this.states().join('\n')}`,
        )
      if (Date.now() - toldAt > TELL_MS) {
        toldAt = Date.now()
        this.say(`waiting until ${what}; not healthy: ${this.#notYet().join(', ') || 'none'}`)
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    }
    this.say(what)
  }

  /** Returns curl options with a token for `audience`, issued to the operator. */
  token(audience: string, ...scopeAndSubject: string[]): string[] {
    const text = this.compose(
      'run',
      '--rm',
      '-T',
      '--no-deps',
      'operator',
      'token',
      audience,
      ...scopeAndSubject,
    )
    return ['-H', `Authorization: Bearer ${text.trim()}`]
  }

  curl(url: string, ...options: string[]): Answer {
    const text = this.#curl('-m', '20', '-w', '\n%{http_code}', ...options, url)
    const at = text.lastIndexOf('\n')
    return { status: Number(text.slice(at + 1)), body: text.slice(0, at) }
  }

  #curl(...args: string[]): string {
    return run('curl', [...this.#curlOptions(), ...args], { env: this.#env, cwd: this.#options.folder })
  }

  #curlOptions(): string[] {
    return ['-sS', '--connect-to', `localhost::${this.#options.address}:`]
  }

  /** Returns what a stream sends within two seconds. */
  peek(url: string, ...options: string[]): string {
    const args = [...this.#curlOptions(), '-N', '-m', '2', ...options, url]
    return spawnSync('curl', args, { cwd: this.#options.folder, encoding: 'utf8' }).stdout
  }

  /** Reads a stream until it closes. */
  stream(url: string, ...options: string[]): { text: () => string; ended: () => boolean } {
    const file = join(this.#options.folder, `stream-${Date.now()}`)
    const output = openSync(file, 'w')
    const child: ChildProcess = spawn('curl', [...this.#curlOptions(), '-N', ...options, url], {
      cwd: this.#options.folder,
      stdio: ['ignore', output, 'ignore'],
    })
    closeSync(output)
    return {
      text: () => readFileSync(file, 'utf8'),
      ended: () => child.exitCode !== null,
    }
  }
}
