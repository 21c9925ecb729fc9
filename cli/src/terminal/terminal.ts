import type { Readable } from 'node:stream'
import { styleText } from 'node:util'
import { escapeForTerminal, escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import { CommandFailure, EXIT } from '../failure.ts'

type Style = Parameters<typeof styleText>[0]

/** The environment of a command; tests pass their own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** Writes one line to stdout. Escapes all control characters except those of `style`. */
  readonly print: (line: string) => void
  /** Writes one line to stderr, for the user, escaped in the same way. */
  readonly note: (line: string) => void
  /** Returns the text with a style for `print` and `note`. Measure widths before styling. */
  readonly style: (style: Style, text: string) => string
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal
}

export interface TerminalOptions extends Pick<Terminal, 'env' | 'stdin' | 'clock' | 'interrupted'> {
  /** Each writes one escaped line, given without its line break. */
  readonly writeOut: (line: string) => void
  readonly writeErr: (line: string) => void
  readonly colourful: boolean
}

/** Replaces ESC in styled text until the rest is escaped. Random, so that no text can imitate a style. */
const ESC = `style-${crypto.randomUUID()}-`

/** Creates the terminal. All output passes through it, so it is the only place that escapes. */
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
        ? // Any ESC of the text is escaped first; those that remain belong to the style.
          styleText(style, escapeForTerminal(text), { validateStream: false }).replaceAll('\x1b', ESC)
        : text,
  }
}

export function systemTerminal(): Terminal {
  const { env, stdin, stdout, stderr } = process
  let interruption: AbortController | undefined
  for (const stream of [stdout, stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // `hallpass … | head` closes the pipe, which is not an error. A full disk is one.
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
    /** Handles Ctrl-C only for commands that read this signal; it ends any other command immediately. */
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

/** Prints JSON exactly. Control and invisible characters are written as `\u` in its strings. */
export function printJson({ print }: Terminal, json: string): void {
  for (const line of escapeJsonForTerminal(json).split('\n')) print(line)
}

/** Far more than a token (8 KiB) or an event (1 MiB): a larger input is a mistake. */
const MAX_STDIN_BYTES = 64 * 1024 * 1024

/**
 * Reads all of standard input.
 * @throws {CommandFailure} if it is too large or not UTF-8
 */
export async function readStdin({ stdin }: Terminal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Uint8Array)
    size += bytes.length
    if (size > MAX_STDIN_BYTES)
      throw new CommandFailure(`Standard input is larger than ${MAX_STDIN_BYTES / 1024 / 1024} MiB.`)
    chunks.push(bytes)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new CommandFailure('Standard input is not valid UTF-8.', EXIT.usage)
  }
}
