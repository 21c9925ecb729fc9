import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { ensurePrivateFolder } from '@hallpass/private-files'
import { assignFreePorts } from './free-ports.ts'
import { Launcher } from './launcher.ts'
import { LogView } from './log-view.ts'
import { provision, provisionFiles } from './provision.ts'
import { type SuiteProcess, wireSuite } from './suite.ts'

const HELP = `npm start: runs the whole suite on this machine

  npm start                 start everything, show one log
  npm start -- --quiet      the table, warnings and errors only
  npm start -- --json       the services' own JSON log lines
  npm start -- --free-ports where the documented ports are taken: any that are free
  npm start -- --help       this text

State (keys, certificates, databases) lives in .hallpass/, or in STATE_FOLDER; delete it to begin anew.
Ctrl-C stops everything.`

/** Starts the suite, prints what runs where, and stays until it is told to stop. */
export async function start(root: string, args: readonly string[]): Promise<void> {
  const values = parseOptions(args)
  if ('failure' in values) {
    console.error(`${values.failure}\n\n${HELP}`)
    process.exit(2)
  }
  if (values.help) {
    console.log(HELP)
    process.exit(0)
  }
  const stateFolder = resolve(process.env.STATE_FOLDER ?? join(root, '.hallpass'))
  await ensurePrivateFolder(stateFolder)
  await Promise.all([ensureDevelopmentCertificates(stateFolder), provisionFiles(stateFolder)])

  const port = values['free-ports'] ? await assignFreePorts() : (documented: number) => documented
  const processes = wireSuite({ port, stateFolder })
  const view = new LogView(
    processes.map(({ name }) => name),
    process.stdout.isTTY === true || process.env.FORCE_COLOR === '1',
  )
  const progress = new Progress(processes.length)
  let keys: Promise<void> | undefined
  const launcher = new Launcher({
    root,
    stateFolder,
    env: values.quiet ? { LOG_LEVEL: 'warn' } : {},
    onLine: (service, line) => progress.above(values.json ? line : view.line(service, line)),
    onReady: (service) => {
      progress.step(service.name)
      // At once, while others still start: somebody may be waiting for this one alone.
      if (service.name === 'jwt-factory') {
        keys = provision(processes)
        keys.catch(() => {})
      }
    },
    onDeath: (error) => void end(error),
  })

  let ending = false
  async function end(error?: Error) {
    if (ending) return
    ending = true
    progress.clear()
    if (error) console.error(view.paint(`\n${error.message}\nStopping the rest.`, 31))
    const stopped = performance.now()
    await launcher.stop()
    console.error(`All services have stopped (${((performance.now() - stopped) / 1000).toFixed(1)} s).`)
    process.exit(error ? 1 : 0)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end())

  try {
    await launcher.start(processes)
    await keys
    progress.clear()
    if (!ending) console.log(describe(processes, view, performance.now()))
  } catch (error) {
    await end(error as Error)
  }
}

const OPTIONS = {
  quiet: { type: 'boolean' },
  json: { type: 'boolean' },
  'free-ports': { type: 'boolean' },
  help: { type: 'boolean' },
} as const

function parseOptions(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values
  } catch (error) {
    return { failure: (error as Error).message }
  }
}

/** One line at the bottom of a terminal that counts the services; elsewhere it says nothing. */
class Progress {
  readonly #total: number
  readonly #ready: string[] = []
  #done = false

  constructor(total: number) {
    this.#total = total
    this.#draw()
  }

  step(name: string) {
    this.#ready.push(name)
    this.#draw()
  }

  /** Prints a line and draws the progress under it again. */
  above(line: string) {
    this.#wipe()
    process.stdout.write(`${line}\n`)
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
    process.stdout.write(
      `\r\x1b[2Kstarting ${this.#ready.length}/${this.#total}  ${this.#ready.at(-1) ?? ''}`,
    )
  }
}

function describe(processes: readonly SuiteProcess[], view: LogView, milliseconds: number): string {
  const rows = processes.map(
    ({ name, urls, shows }) => [name, Object.values(urls).join(' '), 'ready', shows] as const,
  )
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)))
  const table = rows.map(([name, urls, state, shows]) =>
    [
      `  ${name.padEnd(widths[0] as number)}`,
      urls.padEnd(widths[1] as number),
      view.paint(state.padEnd(widths[2] as number), 32),
      view.paint(shows, 90),
    ].join('  '),
  )
  const urlOf = (service: string) => processes.find(({ name }) => name === service)?.urls.PORT
  const base = urlOf('service-a')
  const page = urlOf('web-ui')
  return `
${table.join('\n')}

  Everything is ready after ${(milliseconds / 1000).toFixed(1)} s. This is a development start: all of it listens on this
  machine alone, and jwt-factory signs for any caller. See every hop of every scenario, with its token and its checks:

    ${page}/explorer

  or try:

    curl ${base}/scenario1
    curl "${base}/scenario1?expired=1"
    curl ${base}/scenario2
    curl ${base}/scenario3
    curl ${base}/scenario4
    curl ${base}/scenario5

  Ctrl-C stops it.
`
}
