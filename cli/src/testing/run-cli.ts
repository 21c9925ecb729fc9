import { Readable } from 'node:stream'
import { main } from '../hallpass.ts'
import { createTerminal } from '../terminal.ts'

export interface CliRun {
  readonly exitCode: number
  /** What a pipe would get. */
  readonly out: string
  /** What is meant for people beside it. */
  readonly err: string
}

export interface RunCliOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | Buffer
  readonly clock?: () => number
  /** As on a terminal that has colours. */
  readonly colourful?: boolean
  /** Called for each line as it is printed; true is Ctrl-C. */
  readonly onLine?: (line: string) => unknown
}

/** One command line from its first word to its exit code, in this process. */
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
