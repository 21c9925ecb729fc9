import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask } from './ask.ts'
import { pointToSources } from './source-positions.ts'
import type { SuiteProcess } from './suite.ts'

/** A service on a busy laptop needs a second; after this one is stuck. */
const READY_DEADLINE_MS = 30_000
const READY_POLL_MS = 15
/** A service that listens and is silent for so long is asked again. */
const PROBE_TIMEOUT_MS = 2_000
/** Each service gives up draining after 4 s; what is left then is killed, so that all is over within 5 s. */
const STOP_DEADLINE_MS = 4_500

export interface LauncherOptions {
  readonly root: string
  readonly stateFolder: string
  readonly env?: Readonly<Record<string, string>>
  readonly onLine?: (service: string, line: string) => void
  readonly onReady?: (service: SuiteProcess, milliseconds: number) => void
  /** Called at most once, when a process ends that nobody has asked to end. */
  readonly onDeath?: (error: Error) => void
}

/** A process that ended by itself, with what it said last. */
export class ServiceDied extends Error {
  constructor(name: string, how: string, lastWords: string) {
    super(`${name} ${how}${lastWords ? `: ${lastWords}` : ''}`)
    this.name = 'ServiceDied'
  }
}

/** Starts the processes of a suite from their bundles, each its own, and stops them together. */
export class Launcher {
  readonly #options: LauncherOptions
  readonly #children = new Map<string, ChildProcess>()
  readonly #services = new Map<string, SuiteProcess>()
  readonly #dead: Promise<never>
  #die: (error: Error) => void = () => {}
  #stopping: Promise<void> | undefined

  constructor(options: LauncherOptions) {
    this.#options = options
    this.#dead = new Promise((_, reject) => {
      this.#die = reject
    })
    this.#dead.catch((error: Error) => options.onDeath?.(error))
  }

  /** Starts them in the order given and resolves when each has answered its `/readyz`. */
  async start(processes: readonly SuiteProcess[]): Promise<void> {
    const ready = processes.map((service) => {
      const started = performance.now()
      return this.#untilReady(service, this.#spawn(service)).then(() =>
        this.#options.onReady?.(service, performance.now() - started),
      )
    })
    await Promise.race([Promise.all(ready), this.#dead])
  }

  /** The process id of a running service, for tests that kill one. */
  pid(name: string): number | undefined {
    return this.#children.get(name)?.pid
  }

  /** Kills a service, does something while it is away, and brings it back: for tests of what its peers do. */
  async restart(name: string, meanwhile: () => Promise<void>): Promise<void> {
    const service = this.#services.get(name)
    const child = this.#children.get(name)
    if (!service || !child) throw new Error(`${name} does not run.`)
    child.removeAllListeners('close')
    const gone = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGKILL')
    await gone
    await meanwhile()
    await this.#untilReady(service, this.#spawn(service))
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll()
    return this.#stopping
  }

  /** The promise says when it listens. */
  #spawn(service: SuiteProcess): Promise<unknown> {
    const { root, env } = this.#options
    const bundle = join(root, '.hallpass/bundles', `${service.folder.replaceAll('/', '-')}.cjs`)
    const child = spawn(process.execPath, [join(root, 'scripts/run-bundle.cjs'), bundle], {
      cwd: root,
      // The channel tells a service when the launcher is gone; it then stops by itself.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...inheritedEnvironment(), ...env, ...service.env },
    })
    this.#children.set(service.name, child)
    this.#services.set(service.name, service)
    let lastWords = ''
    for (const stream of [child.stdout, child.stderr]) {
      if (stream)
        forEachLine(stream, (text) => {
          const line = text.includes('.cjs:') ? pointToSources(text) : text
          if (stream === child.stderr && !/^(\s|Node\.js v|$)/.test(line))
            lastWords = line.replace(`${service.name}: `, '')
          this.#options.onLine?.(service.name, line)
        })
    }
    child.on('error', (error) =>
      this.#die(new ServiceDied(service.name, 'could not be started', error.message)),
    )
    child.on('close', (code, signal) => {
      this.#children.delete(service.name)
      if (!this.#stopping)
        this.#die(
          new ServiceDied(
            service.name,
            signal ? `was ended by ${signal}` : `stopped with exit code ${code}`,
            lastWords,
          ),
        )
    })
    return new Promise((resolve) => child.once('message', resolve))
  }

  async #untilReady(service: SuiteProcess, listens: Promise<unknown>): Promise<void> {
    // Asking a process that does not listen yet would take its own time to start from it.
    await Promise.race([listens, new Promise((resolve) => setTimeout(resolve, READY_DEADLINE_MS).unref())])
    const ca = service.readyz.startsWith('https:')
      ? readFileSync(join(this.#options.stateFolder, 'certificates/ca.pem'), 'utf8')
      : undefined
    const deadline = Date.now() + READY_DEADLINE_MS
    let last = 'no answer'
    while (!this.#stopping) {
      last = await probe(service.readyz, ca)
      if (last === 'ready') return
      if (Date.now() > deadline)
        throw new Error(`${service.name} is not ready after ${READY_DEADLINE_MS / 1000} s: ${last}`)
      await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS))
    }
  }

  async #stopAll() {
    const children = [...this.#children.values()]
    const closed = children.map(
      (child) =>
        new Promise<void>((resolve) => {
          child.once('close', () => resolve())
          if (child.exitCode !== null || child.signalCode !== null) resolve()
        }),
    )
    for (const child of children) child.kill('SIGTERM')
    const deadline = setTimeout(() => {
      for (const child of children) child.kill('SIGKILL')
    }, STOP_DEADLINE_MS)
    await Promise.all(closed)
    clearTimeout(deadline)
  }
}

/** What a service may see of the launcher's own environment: nothing that changes whom it trusts. */
function inheritedEnvironment(): Record<string, string> {
  const passed = [
    'PATH',
    'HOME',
    'LANG',
    'TZ',
    'TMPDIR',
    'NODE_ENV',
    'LOG_LEVEL',
    'REDIS_URL',
    'TOKEN_LIBRARY',
    'NO_COLOR',
    'FORCE_COLOR',
  ]
  const names = [
    ...passed,
    ...Object.keys(process.env).filter((name) => /^(OTEL_|SPIFFE_|HALLPASS_)/.test(name)),
  ]
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}

async function probe(url: string, ca: string | undefined): Promise<string> {
  try {
    const { status, text } = await ask(url, { ca, timeoutMs: PROBE_TIMEOUT_MS })
    return status === 200 ? 'ready' : `${status} ${text}`
  } catch (error) {
    return (error as Error).message
  }
}

function forEachLine(stream: NodeJS.ReadableStream, receive: (line: string) => void) {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim()) receive(line)
  })
  stream.on('end', () => {
    if (rest.trim()) receive(rest)
  })
}
