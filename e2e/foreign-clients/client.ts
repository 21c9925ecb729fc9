import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { EventStreamParser } from '@hallpass/event-stream'

/** Where the programs lie. */
export const programsFolder = join(import.meta.dirname, '../../sse-gateway/peers')

/** What a program writes: an event, the status of its answer, or an error that its library reports. */
export type ClientRecord =
  | { readonly event: string; readonly data: string }
  | { readonly answered: number }
  | { readonly error: string }

/** The environment of a program. */
export interface ClientEnvironment {
  readonly STREAM_URL: string
  readonly ANSWER_URL: string
  readonly ANSWER_TOKEN: string
  readonly CA_FILE: string
}

/** A running client. */
export interface RunningClient {
  readonly records: readonly ClientRecord[]
  /** Whether it has stopped by itself. */
  readonly isClosed: boolean
  stop(): Promise<void>
}

/** The commands for a page of a browser. */
export interface ClientPage {
  evaluate<T>(expression: string): Promise<T>
}

/** Starts a program that writes a record per line. */
export const startProgram = (
  command: string,
  args: readonly string[],
  environment: ClientEnvironment,
): RunningClient =>
  startProcess(command, args, environment, (output, take) => {
    createInterface({ input: output }).on('line', (line) => take(JSON.parse(line)))
  })

/** Starts a program that writes the event stream itself, with an event `answered` for its answer. */
export const startStreamProgram = (
  command: string,
  args: readonly string[],
  environment: ClientEnvironment,
): RunningClient =>
  startProcess(command, args, environment, (output, take) => {
    const parser = new EventStreamParser({
      onEvent: ({ event = 'message', data }) =>
        take(event === 'answered' ? { answered: Number(data) } : { event, data }),
    })
    output.on('data', (chunk: Buffer) => parser.push(chunk))
  })

function startProcess(
  command: string,
  args: readonly string[],
  environment: ClientEnvironment,
  read: (output: NodeJS.ReadableStream, take: (record: ClientRecord) => void) => void,
): RunningClient {
  const records: ClientRecord[] = []
  const child = spawn(command, args, {
    cwd: programsFolder,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      LANG: 'C.UTF-8',
      NODE_EXTRA_CA_CERTS: environment.CA_FILE,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A shell's children end with it.
    detached: true,
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  read(child.stdout, (record) => records.push(record))
  const closed = once(child, 'close').then(() => {
    const last = errors.trim().split('\n').at(-1)
    if (last) records.push({ error: last })
    client.isClosed = true
  })
  const client = {
    records,
    isClosed: false,
    async stop() {
      if (!client.isClosed) process.kill(-(child.pid as number), 'SIGKILL')
      await closed
    },
  }
  return client
}

const BROWSER_PROGRAM = readFileSync(join(programsFolder, 'browser/event-source.js'), 'utf8')
const POLL_MS = 200

/** Opens an EventSource in a page. The caller closes the browser. */
export async function startInPage(page: ClientPage, environment: ClientEnvironment): Promise<RunningClient> {
  await page.evaluate(
    `(() => { ${BROWSER_PROGRAM}\nwindow.openEventSource(${JSON.stringify(environment)}) })()`,
  )
  const records: ClientRecord[] = []
  let stopped = false
  const client = {
    records,
    isClosed: false,
    async stop() {
      stopped = true
      await polling
    },
  }
  const polling = (async () => {
    while (!stopped) {
      const [news, state] = await page.evaluate<[ClientRecord[], number]>(
        `[window.records.slice(${records.length}), window.source.readyState]`,
      )
      records.push(...news)
      client.isClosed = state === 2
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  })()
  return client
}
