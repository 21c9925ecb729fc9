import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_CODES } from '@hallpass/service-kit/exit-codes'
import { type Answer, ask } from './ask.ts'
import { LastWords } from './last-words.ts'
import { forEachLine } from './lines.ts'
import { pointToSources } from './source-positions.ts'
import type { SuiteProcess } from './suite-builder.ts'

/** A service that takes longer is stuck: even on a busy laptop it needs a second. */
const READY_DEADLINE_MS = 30_000
const READY_POLL_MS = 15
/** A stuck service may still get ready, for example when a peer recovers. */
const LATE_POLL_MS = 1_000
/** After this time without an answer `/readyz` is requested again. */
const PROBE_TIMEOUT_MS = 2_000
/** How long a list waits for a hanging service: less than its own callers wait (suite-owner.js). */
const LISTED_TIMEOUT_MS = 1_500
/** Services stop draining after 4 s. Any left after this time are killed, so that a stop takes at most 5 s. */
const STOP_DEADLINE_MS = 4_500
/** The first restart is quick enough for waiting callers. The delay doubles with each further one. */
const FIRST_BACKOFF_MS = 500
/** A failing service is restarted twice per minute, because each attempt costs a second of CPU time. */
const MAX_BACKOFF_MS = 30_000
/** A process that ran this long did not fail at startup: the delay starts again from the first. */
const RAN_WELL_MS = 30_000
/** Attempts at the first start, which a user waits for. */
const MAX_FIRST_ATTEMPTS = 3

/** Exit codes that another attempt would repeat until a user fixes the cause. */
const NEEDS_A_PERSON: readonly (number | null)[] = [
  EXIT_CODES.configuration,
  EXIT_CODES.portTaken,
  EXIT_CODES.stateUnusable,
]

export type ServiceState = 'starting' | 'running' | 'restarting' | 'stopping' | 'stopped' | 'failed'

/** How a process ended that was not asked to. */
export interface ServiceEnd {
  /** E.g. `was terminated by SIGKILL`. */
  readonly how: string
  /** Its last message on standard error, or in a fatal line of its log. */
  readonly lastWords: string
  readonly exitCode: number | null
  /** The delay of the next restart, or undefined if there is none. */
  readonly restartInMs: number | undefined
}

/** A service could not be started. Contains its last message. */
export class ServiceDied extends Error {
  /** The exit code of its process; null if a signal terminated it or it never ran. */
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
  /** Called for each unrequested end. */
  readonly onEnd: (service: SuiteProcess, end: ServiceEnd) => void
}

/** A service of the suite: its process and its state. Starts a new process when the current one dies. */
export class SupervisedService {
  readonly service: SuiteProcess
  readonly #options: SupervisionOptions
  #state: ServiceState = 'stopped'
  #child: ChildProcess | undefined
  #closed: Promise<void> = Promise.resolve()
  #restart: NodeJS.Timeout | undefined
  /** Consecutive deaths, without a longer run between them. */
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

  /** Returns the current state. Calls `/readyz`, because only that shows whether a process hangs. */
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

  /** How often it was restarted because its process had ended. */
  get restarts(): number {
    return this.#restarts
  }

  /** How its process last ended without being asked to. */
  get lastEnd(): string | undefined {
    return this.#lastEnd
  }

  /**
   * Starts the service, unless it is already started. Resolves when it answers its `/readyz`.
   * @throws {ServiceDied} if it cannot be started.
   */
  async start(): Promise<void> {
    if (this.#state === 'stopping') await this.#closed
    if (this.#state === 'running') return
    if (this.#starting) return this.#starting.promise
    clearTimeout(this.#restart)
    this.#deaths = 0
    this.#starting = withResolvers()
    // Callers await it; without one, `onEnd` has reported the reason.
    this.#starting.promise.catch(() => {})
    this.#spawn()
    return this.#starting.promise
  }

  /** Stops its process and does not restart it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    clearTimeout(this.#restart)
    const child = this.#child
    this.#state = child ? 'stopping' : 'stopped'
    this.#settle(new Error(`${this.service.name} was stopped while it was starting`))
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
      // When the launcher dies, the channel closes and the service stops.
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
              ? `was terminated by ${signal}`
              : `exited with code ${code}`,
          lastWords: unstartable?.message ?? words(),
          exitCode: code,
        })
        resolve()
      })
    })
    const listens = Promise.race([new Promise((resolve) => child.once('message', resolve)), this.#closed])
    void this.#untilReady(child, listens, started)
  }

  /** Forwards its lines, and returns a function for its last message. */
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
          // The reason of a failed start is printed once, in the report of its end.
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
    // Requests before it listens would only slow down its start.
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

/** Replaces `Promise.withResolvers`, which Node has since 22. */
function withResolvers(): PromiseWithResolvers {
  let resolve = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Returns the variables that services inherit from the launcher: none that changes what they trust. */
function inheritedEnvironment(): Record<string, string> {
  const passed = [
    'PATH',
    'HOME',
    'LANG',
    'TZ',
    'TMPDIR',
    'NODE_ENV',
    'LOG_LEVEL',
    'MESH',
    'REDIS_URL',
    'REDIS_CA_FILE',
    'REDIS_PASSWORD_FILE',
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
