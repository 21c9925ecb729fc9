import type { Readable } from 'node:stream'
import { styleText } from 'node:util'
import { escapeForTerminal, escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import { CommandFailure, EXIT } from './failure.ts'

type Style = Parameters<typeof styleText>[0]

/** Everything that a command knows of the world around it; a test passes its own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** Writes one line, in which nothing but `style` moves or colours anything, whoever wrote the text. */
  readonly print: (line: string) => void
  /** Writes one line for people, where the output is for programs; with the same care. */
  readonly note: (line: string) => void
  /** Returns the text with a style for `print` and `note`; to measure it, measure it before. */
  readonly style: (style: Style, text: string) => string
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal
}

export interface TerminalOptions extends Pick<Terminal, 'env' | 'stdin' | 'clock' | 'interrupted'> {
  /** Each takes one line that is safe, without its end. */
  readonly writeOut: (line: string) => void
  readonly writeErr: (line: string) => void
  readonly colourful: boolean
}

/** Stands for ESC in styled text until the rest is escaped. Nobody outside can guess it, so no text can colour itself. */
const ESC = `style-${crypto.randomUUID()}-`

/** The one place through which all output goes: what came from outside is escaped here, and nowhere else. */
export function createTerminal(options: TerminalOptions): Terminal {
  const { env, stdin, clock, writeOut, writeErr, colourful } = options
  const safe = (line: string) => escapeForTerminal(line).replaceAll(ESC, '\x1b')
  return {
    env,
    stdin,
    clock,
    get interrupted() {
      return options.interrupted
    },
    print: (line) => writeOut(safe(line)),
    note: (line) => writeErr(safe(line)),
    style: (style, text) =>
      colourful
        ? // What ESC the text has is escaped first; what is left is the style's own.
          styleText(style, escapeForTerminal(text), { validateStream: false }).replaceAll('\x1b', ESC)
        : text,
  }
}

export function systemTerminal(): Terminal {
  const { env, stdin, stdout, stderr } = process
  let interruption: AbortController | undefined
  for (const stream of [stdout, stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // `hallpass … | head` closes the pipe; that is no error. A full disk is one.
      process.exit(error.code === 'EPIPE' ? 0 : 1)
    })
  return createTerminal({
    env,
    stdin,
    // https://no-color.org
    colourful: stdout.isTTY === true && !env.NO_COLOR,
    writeOut: (line) => stdout.write(`${line}\n`),
    writeErr: (line) => stderr.write(`${line}\n`),
    clock: () => Date.now(),
    /** Only who asks for it takes Ctrl-C; it ends every other command at once. */
    get interrupted() {
      if (!interruption) {
        const controller = new AbortController()
        process.once('SIGINT', () => controller.abort())
        process.once('SIGTERM', () => controller.abort())
        interruption = controller
      }
      return interruption.signal
    },
  })
}

/** Writes a JSON text, line by line and exactly: what a terminal would obey or hide is written as `\u` in its strings. */
export function printJson({ print }: Terminal, json: string): void {
  for (const line of escapeJsonForTerminal(json).split('\n')) print(line)
}

/** Tokens have 8 KiB, events 1 MiB; a pipe that brings more than this is not meant for us. */
const MAX_STDIN_BYTES = 64 * 1024 * 1024

/**
 * The text of standard input, to its end.
 * @throws {CommandFailure} when there is too much of it, or when it is not UTF-8
 */
export async function readStdin({ stdin }: Terminal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Uint8Array)
    size += bytes.length
    if (size > MAX_STDIN_BYTES)
      throw new CommandFailure(`Standard input has more than ${MAX_STDIN_BYTES / 1024 / 1024} MiB.`)
    chunks.push(bytes)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new CommandFailure('Standard input is not valid UTF-8.', EXIT.usage)
  }
}
