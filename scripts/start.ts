import { join, relative, resolve } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { claimStateVersion, ensurePrivateFolder, StateFileError } from '@hallpass/private-files'
import { EXIT_CODES } from '@hallpass/service-kit/exit-codes'
import { launcherSocketOf } from '@hallpass/service-kit/launcher'
import { escapeForTerminal, escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import { assignFreePorts } from './free-ports.ts'
import { Launcher } from './launcher.ts'
import { AlreadyRuns, LauncherSocket } from './launcher-socket.ts'
import { LogView } from './log-view.ts'
import { provision, provisionFiles } from './provision.ts'
import { EnvironmentUnusable, requireEnvironment } from './require-environment.ts'
import { HELP, parseStartOptions, type StartOptions, UsageError } from './start-options.ts'
import { wireSuite } from './suite.ts'
import type { SuiteProcess } from './suite-builder.ts'
import { ServiceDied, type ServiceEnd } from './supervised-service.ts'
import { PortsTaken, requireFreePorts } from './taken-ports.ts'

/** Starts the suite, prints the URLs of its services, and runs until a signal stops it. */
export async function start(root: string, args: readonly string[]): Promise<void> {
  let socket: LauncherSocket | undefined
  try {
    const options = parseStartOptions(args, namesOfServices())
    if (options.help) {
      console.log(HELP)
      process.exit(EXIT_CODES.stopped)
    }
    requireEnvironment(process.env)
    const stateFolder = resolve(process.env.STATE_FOLDER || join(root, '.hallpass'))
    await ensurePrivateFolder(stateFolder)
    await claimStateVersion(stateFolder)
    socket = await LauncherSocket.claim(stateFolder)
    await Promise.all([ensureDevelopmentCertificates(stateFolder), provisionFiles(stateFolder)])
    const port = options.freePorts ? await assignFreePorts() : (documented: number) => documented
    const processes = wireSuite({ port, stateFolder })
    await requireFreePorts(processes.filter(({ name }) => !options.leftOut.includes(name)))
    await runSuite({ root, stateFolder, options, processes, socket })
  } catch (error) {
    await socket?.close()
    if (error instanceof UsageError) console.error(usage(error))
    else console.error(isExpected(error) ? (error as Error).message : error)
    process.exit(exitCodeOf(error))
  }
}

/** Returns what is wrong with a command line, or undefined. For a start that finds a suite already running. */
export function explainArguments(args: readonly string[]): string | undefined {
  try {
    parseStartOptions(args, namesOfServices())
    return undefined
  } catch (error) {
    if (error instanceof UsageError) return usage(error)
    throw error
  }
}

const usage = ({ message }: UsageError) => `${message}\n\n${HELP}`

interface Suite {
  readonly root: string
  readonly stateFolder: string
  readonly options: StartOptions
  readonly processes: readonly SuiteProcess[]
  readonly socket: LauncherSocket
}

async function runSuite({ root, stateFolder, options, processes, socket }: Suite) {
  const { leftOut, json, quiet } = options
  const view = new LogView(
    processes.map(({ name }) => name),
    process.stdout.isTTY === true || process.env.FORCE_COLOR === '1',
  )
  const progress = new Progress(processes.length - leftOut.length)
  const away = new Set<string>()
  const provisioned = new Map<string, Promise<void>>()
  const launcher = new Launcher({
    root,
    stateFolder,
    // For the web UI's buttons that stop and start services. Only a launcher has it, so it is not in the wiring.
    env: { LAUNCHER_SOCKET: launcherSocketOf(stateFolder), ...(quiet ? { LOG_LEVEL: 'warn' } : {}) },
    onLine: (service, line) => progress.above(json ? escapeJsonForTerminal(line) : view.line(service, line)),
    onReady: ({ name }, milliseconds) => {
      progress.step(name)
      if (away.delete(name)) progress.note(`${name} is ready again after ${seconds(milliseconds)} s.`)
      // Immediately, while other services still start: a user may already be waiting for the keys.
      if (name === 'jwt-factory') {
        const keys = provision(processes)
        keys.catch((error: Error) => progress.note(`The first keys could not be created: ${error.message}`))
        provisioned.set(name, keys)
      }
    },
    onEnd: ({ name }, end) => {
      // A service that cannot be started ends the whole start, which reports it.
      if (!started && end.restartInMs === undefined) return
      away.add(name)
      progress.note(view.paint(describeEnd(name, end), 31))
    },
  })
  socket.serve(launcher, (name, verb) =>
    progress.note(
      verb === 'start'
        ? `${name} has started.`
        : `${name} has stopped. Start it again with: npx hallpass service start ${name}`,
    ),
  )

  let ending = false
  let started = false
  async function end(error?: unknown) {
    if (ending) return
    ending = true
    progress.clear()
    if (error)
      console.error(
        view.paint(`\n${escapeForTerminal((error as Error).message)}\nStopping the other services.`, 31),
      )
    const stopped = performance.now()
    await launcher.stop()
    await socket.close()
    console.error(`All services have stopped (${seconds(performance.now() - stopped)} s).`)
    process.exit(error ? exitCodeOf(error) : EXIT_CODES.stopped)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end())

  try {
    for (const line of missingNeeds(processes, leftOut)) progress.note(line)
    await launcher.start(processes, leftOut)
    started = true
    await provisioned.get('jwt-factory')
    progress.clear()
    if (!ending) console.log(describe({ root, stateFolder, options, processes, socket }, view))
  } catch (error) {
    await end(error)
  }
}

const namesOfServices = () => wireSuite({ port: (port) => port, stateFolder: '' }).map(({ name }) => name)

/** Returns whether an error is an expected reason not to start, whose message suffices, and not a bug. */
const isExpected = (error: unknown) =>
  [StateFileError, AlreadyRuns, PortsTaken, ServiceDied, EnvironmentUnusable].some(
    (kind) => error instanceof kind,
  )

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_CODES.usage
  if (error instanceof StateFileError) return EXIT_CODES.stateUnusable
  if (error instanceof AlreadyRuns) return EXIT_CODES.alreadyRuns
  if (error instanceof PortsTaken) return EXIT_CODES.portTaken
  if (error instanceof EnvironmentUnusable) return EXIT_CODES.configuration
  if (error instanceof ServiceDied) return error.exitCode || EXIT_CODES.failed
  return EXIT_CODES.failed
}

function describeEnd(name: string, { how, lastWords, restartInMs }: ServiceEnd): string {
  const next =
    restartInMs === undefined
      ? `It is not restarted. Fix the cause, then run: npx hallpass service start ${name}`
      : `Restarting it in ${seconds(restartInMs)} s.`
  return `${name} ${how}${lastWords ? `: ${escapeForTerminal(lastWords)}` : ''}${/[.!?]$/.test(lastWords) ? '' : '.'} ${next}`
}

/** Returns a line for each service that lacks one that was left out. */
function missingNeeds(processes: readonly SuiteProcess[], leftOut: readonly string[]): string[] {
  return processes.flatMap(({ name, needs }) => {
    const missing = needs.filter((needed) => leftOut.includes(needed))
    if (leftOut.includes(name) || missing.length === 0) return []
    return [`${name} needs ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} left out.`]
  })
}

const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(1)

/** A line at the bottom of a terminal that counts started services. Prints nothing if stdout is not a terminal. */
class Progress {
  readonly #total: number
  readonly #ready = new Set<string>()
  #last = ''
  #done = false

  constructor(total: number) {
    this.#total = total
    this.#draw()
  }

  step(name: string) {
    this.#ready.add(name)
    this.#last = name
    this.#draw()
  }

  /** Prints a line above the progress. */
  above(line: string) {
    this.#wipe()
    process.stdout.write(`${line}\n`)
    this.#draw()
  }

  /** Prints a line of the launcher itself to stderr, apart from the log. */
  note(line: string) {
    this.#wipe()
    process.stderr.write(`${line}\n`)
    this.#draw()
  }

  clear() {
    this.#wipe()
    this.#done = true
  }

  #wipe() {
    if (process.stdout.isTTY && !this.#done) process.stdout.write('\r\x1b[2K')
  }

  #draw() {
    if (!process.stdout.isTTY || this.#done) return
    process.stdout.write(`\r\x1b[2Kstarting ${this.#ready.size}/${this.#total}  ${this.#last}`)
  }
}

function describe({ root, stateFolder, options, processes }: Suite, view: LogView): string {
  const rows = processes.map(({ name, urls, shows }) => {
    const state = options.leftOut.includes(name) ? 'left out' : 'ready'
    return [name, Object.values(urls).join(' '), state, shows] as const
  })
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)))
  const table = rows.map(([name, urls, state, shows]) =>
    [
      `  ${name.padEnd(widths[0] as number)}`,
      urls.padEnd(widths[1] as number),
      view.paint(state.padEnd(widths[2] as number), state === 'ready' ? 32 : 33),
      view.paint(shows, 90),
    ].join('  '),
  )
  const runs = (name: string) => !options.leftOut.includes(name)
  const urlOf = (service: string) => processes.find(({ name }) => name === service)?.urls.PORT
  const base = urlOf('service-a')
  const explorer = runs('web-ui')
    ? ` See every request of every scenario, with its token and checks:

    ${urlOf('web-ui')}/explorer
`
    : '\n'
  const scenarios = runs('service-a')
    ? `
  or try:

    curl ${base}/scenario1
    curl "${base}/scenario1?expired=1"
    curl ${base}/scenario2
    curl ${base}/scenario3
    curl ${base}/scenario4
    curl ${base}/scenario5
`
    : ''
  const state = stateFolder.startsWith(`${root}/`) ? `${relative(root, stateFolder)}/` : stateFolder
  return `
${table.join('\n')}

  Everything is ready after ${seconds(performance.now())} s. This is development mode: all services listen only
  on localhost, and jwt-factory signs tokens for any caller.${explorer}${scenarios}
  Ctrl-C stops all services. Keys and certificates stay in ${state} (npm run clean deletes them).
`
}
