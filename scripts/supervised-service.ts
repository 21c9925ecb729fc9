import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_CODES } from '@hallpass/service-kit/exit-codes'
import { type Answer, ask } from './ask.ts'
import { LastWords } from './last-words.ts'
import { forEachLine } from './lines.ts'
import { pointToSources } from './source-positions.ts'
import type { SuiteProcess } from './suite-builder.ts'

/** A service on a busy laptop needs a second; after this one is stuck. */
const READY_DEADLINE_MS = 30_000
const READY_POLL_MS = 15
/** One that is stuck may still get ready, e.g. when what it waits for is back. */
const LATE_POLL_MS = 1_000
/** A service that listens and is silent for so long is asked again. */
const PROBE_TIMEOUT_MS = 2_000
/** A list waits no longer for one that hangs: less than those wait who ask for it (suite-owner.js). */
const LISTED_TIMEOUT_MS = 1_500
/** Each service gives up draining after 4 s; what is left then is killed, so that all is over within 5 s. */
const STOP_DEADLINE_MS = 4_500
/** The first restart comes before a caller has given up; each further one waits twice as long. */
const FIRST_BACKOFF_MS = 500
/** A service that cannot run is tried twice a minute: it costs a second of CPU time each. */
const MAX_BACKOFF_MS = 30_000
/** What has run for so long has not ended because of its start: the next restart is as quick as the first. */
const RAN_WELL_MS = 30_000
/** One that has never been ready is not tried for ever: somebody waits for the start to end. */
const MAX_FIRST_ATTEMPTS = 3

/** What a further attempt would meet again while nobody does anything about it. */
const NEEDS_A_PERSON: readonly (number | null)[] = [
  EXIT_CODES.configuration,
  EXIT_CODES.portTaken,
  EXIT_CODES.stateUnusable,
]

export type ServiceState = 'starting' | 'running' | 'restarting' | 'stopping' | 'stopped' | 'failed'

/** How a process ended that nobody has asked to end. */
export interface ServiceEnd {
  /** E.g. `was ended by SIGKILL`. */
  readonly how: string
  /** What it said last on standard error, or as a fatal line of its log. */
  readonly lastWords: string
  readonly exitCode: number | null
  /** When it is started again; never, when it needs a person. */
  readonly restartInMs: number | undefined
}

/** A service that could not be started, with what it said last. */
export class ServiceDied extends Error {
  /** Of its process; null when a signal ended it, or when it never ran. */
  readonly exitCode: number | null

  constructor(name: string, { how, lastWords, exitCode }: ServiceEnd) {
    super(`${name} ${how}${lastWords ? `: ${lastWords}` : ''}`)
    this.name = 'ServiceDied'
    this.exitCode = exitCode
  }
}

export interface SupervisionOptions {
  readonly root: string
  readonly stateFolder: string
  readonly env: Readonly<Record<string, string>>
  readonly onLine: (service: string, line: string) => void
  readonly onReady: (service: SuiteProcess, milliseconds: number) => void
  /** Called for each end that nobody has asked for. */
  readonly onEnd: (service: SuiteProcess, end: ServiceEnd) => void
}

/** One service of the suite: its process, its state, and a new process when that one dies. */
export class SupervisedService {
  readonly service: SuiteProcess
  readonly #options: SupervisionOptions
  #state: ServiceState = 'stopped'
  #child: ChildProcess | undefined
  #closed: Promise<void> = Promise.resolve()
  #restart: NodeJS.Timeout | undefined
  /** Deaths in a row, none of them after it had run well. */
  #deaths = 0
  #restarts = 0
  #lastEnd: string | undefined
  #starting: PromiseWithResolvers | undefined

  constructor(service: SuiteProcess, options: SupervisionOptions) {
    this.service = service
    this.#options = options
  }

  get state(): ServiceState {
    return this.#state
  }

  /** Its state as of now: a process that runs may hang, which only asking it shows. */
  async listedState(): Promise<ServiceState | 'not answering'> {
    if (this.#state !== 'running') return this.#state
    const answers = await this.#ask(this.service.readyz, LISTED_TIMEOUT_MS).then(
      () => true,
      () => false,
    )
    return answers || this.#state !== 'running' ? this.#state : 'not answering'
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** How often it has been started again because its process had ended. */
  get restarts(): number {
    return this.#restarts
  }

  /** How its process ended last, when nobody had asked for it. */
  get lastEnd(): string | undefined {
    return this.#lastEnd
  }

  /**
   * Starts it, unless it is started; resolves when it answers its `/readyz`.
   * @throws {ServiceDied} when it cannot be started.
   */
  async start(): Promise<void> {
    if (this.#state === 'stopping') await this.#closed
    if (this.#state === 'running') return
    if (this.#starting) return this.#starting.promise
    clearTimeout(this.#restart)
    this.#deaths = 0
    this.#starting = withResolvers()
    // Whoever started it waits for it; where nobody does, `onEnd` has said why.
    this.#starting.promise.catch(() => {})
    this.#spawn()
    return this.#starting.promise
  }

  /** Ends its process and does not start it again. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    clearTimeout(this.#restart)
    const child = this.#child
    this.#state = child ? 'stopping' : 'stopped'
    this.#settle(new Error(`${this.service.name} was stopped while it started`))
    if (!child) return
    child.kill(signal)
    const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS)
    await this.#closed
    clearTimeout(deadline)
  }

  #spawn() {
    const { service } = this
    const { root, env } = this.#options
    const bundle = join(root, '.hallpass/bundles', `${service.folder.replaceAll('/', '-')}.cjs`)
    const started = performance.now()
    this.#state = 'starting'
    const child = spawn(process.execPath, [join(root, 'scripts/run-bundle.cjs'), bundle], {
      cwd: root,
      // The channel tells a service when the launcher is gone; it then stops by itself.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...inheritedEnvironment(), ...env, ...service.env },
    })
    this.#child = child
    const words = this.#listen(child)
    let unstartable: Error | undefined
    child.on('error', (error) => {
      unstartable = error
    })
    this.#closed = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#child = undefined
        this.#ended(performance.now() - started, {
          how: unstartable
            ? 'could not be started'
            : signal
              ? `was ended by ${signal}`
              : `stopped with exit code ${code}`,
          lastWords: unstartable?.message ?? words(),
          exitCode: code,
        })
        resolve()
      })
    })
    const listens = Promise.race([new Promise((resolve) => child.once('message', resolve)), this.#closed])
    void this.#untilReady(child, listens, started)
  }

  /** Passes its lines on, and answers what it said last. */
  #listen(child: ChildProcess): () => string {
    const words = new LastWords()
    let listens = false
    child.once('message', () => {
      listens = true
    })
    for (const stream of [child.stdout, child.stderr])
      if (stream)
        forEachLine(stream, (text) => {
          const line = text.includes('.cjs:') ? pointToSources(text) : text
          const isVerdict = stream === child.stderr ? words.hear(line) : words.hearLog(line)
          // Why it cannot start is said once, by whoever tells of its end.
          if (listens || !isVerdict) this.#options.onLine(this.service.name, line)
        })
    return () => words.text
  }

  #ended(ranMs: number, end: Omit<ServiceEnd, 'restartInMs'>) {
    if (this.#state === 'stopping') {
      this.#state = 'stopped'
      return
    }
    if (ranMs >= RAN_WELL_MS) this.#deaths = 0
    this.#deaths += 1
    const first = this.#starting !== undefined
    const isOver = first
      ? NEEDS_A_PERSON.includes(end.exitCode) || this.#deaths >= MAX_FIRST_ATTEMPTS
      : end.exitCode === EXIT_CODES.configuration
    const restartInMs = isOver
      ? undefined
      : Math.min(FIRST_BACKOFF_MS * 2 ** (this.#deaths - 1), MAX_BACKOFF_MS)
    const report = { ...end, restartInMs }
    this.#lastEnd = new ServiceDied(this.service.name, report).message
    this.#state = isOver ? 'failed' : 'restarting'
    this.#options.onEnd(this.service, report)
    if (restartInMs === undefined) return this.#settle(new ServiceDied(this.service.name, report))
    this.#restart = setTimeout(() => {
      this.#restarts += 1
      this.#spawn()
    }, restartInMs)
  }

  async #untilReady(child: ChildProcess, listens: Promise<unknown>, started: number) {
    const { name, readyz } = this.service
    // Asking a process that does not listen yet would take its own time to start from it.
    await Promise.race([listens, new Promise((resolve) => setTimeout(resolve, READY_DEADLINE_MS).unref())])
    const deadline = started + READY_DEADLINE_MS
    while (this.#child === child && this.#state === 'starting') {
      const last = await this.#probe(readyz)
      if (this.#child !== child || this.#state !== 'starting') return
      if (last === 'ready') {
        this.#state = 'running'
        this.#options.onReady(this.service, performance.now() - started)
        return this.#settle()
      }
      const late = performance.now() > deadline
      if (late) this.#settle(new Error(`${name} is not ready after ${READY_DEADLINE_MS / 1000} s: ${last}`))
      await new Promise((resolve) => setTimeout(resolve, late ? LATE_POLL_MS : READY_POLL_MS))
    }
  }

  async #probe(url: string): Promise<string> {
    try {
      const { status, text } = await this.#ask(url, PROBE_TIMEOUT_MS)
      return status === 200 ? 'ready' : `${status} ${text}`
    } catch (error) {
      return (error as Error).message
    }
  }

  async #ask(url: string, timeoutMs: number): Promise<Answer> {
    const ca = url.startsWith('https:')
      ? readFileSync(join(this.#options.stateFolder, 'certificates/ca.pem'), 'utf8')
      : undefined
    return ask(url, { ca, timeoutMs })
  }

  #settle(error?: Error) {
    const starting = this.#starting
    this.#starting = undefined
    if (error) starting?.reject(error)
    else starting?.resolve()
  }
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** `Promise.withResolvers`, which Node has from 22 on. */
function withResolvers(): PromiseWithResolvers {
  let resolve = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
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
