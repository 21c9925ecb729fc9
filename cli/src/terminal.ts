import type { Readable } from 'node:stream'
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Everything that a command knows of the world around it; a test passes its own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** Writes one line. */
  readonly print: (line: string) => void
  /** Writes one line for people, where the output is for programs. */
  readonly note: (line: string) => void
  readonly style: (style: Style, text: string) => string
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal
}

export function systemTerminal(): Terminal {
  const { env, stdin, stdout, stderr } = process
  const interruption = new AbortController()
  process.once('SIGINT', () => interruption.abort())
  process.once('SIGTERM', () => interruption.abort())
  // `hallpass … | head` closes the pipe; that is no error.
  stdout.on('error', () => process.exit(0))
  // https://no-color.org
  const colourful = stdout.isTTY === true && !env.NO_COLOR
  return {
    env,
    stdin,
    print: (line) => stdout.write(`${line}\n`),
    note: (line) => stderr.write(`${line}\n`),
    style: (style, text) => (colourful ? styleText(style, text) : text),
    clock: () => Date.now(),
    interrupted: interruption.signal,
  }
}

/** The text of standard input, to its end. */
export async function readStdin({ stdin }: Terminal): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array))
  return Buffer.concat(chunks).toString()
}
