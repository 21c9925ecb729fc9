import { Readable } from 'node:stream'
import { main } from '../hallpass.ts'
import { createTerminal } from '../terminal/terminal.ts'

export interface CliRun {
  readonly exitCode: number
  /** Standard output. */
  readonly out: string
  /** Standard error. */
  readonly err: string
}

export interface RunCliOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Buffer
  readonly clock?: () => number
  /** Whether to style the output, as on a terminal. */
  readonly colourful?: boolean
  /** Called for each printed line; returning true has the effect of Ctrl-C. */
  readonly onLine?: (line: string) => unknown
}

/** Runs a command line in this process. */
export async function runCli(args: readonly string[], options: RunCliOptions = {}): Promise<CliRun> {
  const out: string[] = []
  const err: string[] = []
  const interruption = new AbortController()
  const terminal = createTerminal({
    env: options.env ?? {},
    stdin: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
    colourful: options.colourful ?? false,
    writeOut: (line) => {
      out.push(line)
      if (options.onLine?.(line) === true) interruption.abort()
    },
    writeErr: (line) => err.push(line),
    clock: options.clock ?? Date.now,
    interrupted: interruption.signal,
  })
  const exitCode = await main(args, terminal)
  return { exitCode, out: out.join('\n'), err: err.join('\n') }
}
