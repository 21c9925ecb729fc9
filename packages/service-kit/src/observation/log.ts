import { escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import { type DestinationStream, type Logger, pino } from 'pino'
import { paintWith, readableLine } from './readable-log.ts'
import { StandardOutput } from './standard-output.ts'

export type { Logger } from 'pino'

/** Anything that looks like a JWT: no log line may carry one, whichever way it got there. */
const TOKEN = /eyJ[\w-]{5,}(\.[\w-]*)*/g

/** The text with `[token]` in place of each token. */
export const cutTokens = (text: string): string =>
  text.includes('eyJ') ? text.replace(TOKEN, '[token]') : text

/**
 * JSON lines on standard output; on a terminal, where a person reads them, the look of `npm start`. Tokens appear by
 * their `jti` only: what still looks like one is cut here, as the last line of defence behind every caller's own care.
 * What a terminal would obey or hide when a log is shown there is written as `\u`, C1 and bidirectional controls too,
 * which JSON itself does not ask for.
 */
export function createLog(name: string, level: string, stream: DestinationStream = processOutput()): Logger {
  const guarded: DestinationStream = {
    write: (line) => stream.write(escapeJsonForTerminal(cutTokens(line))),
  }
  return pino({ name, level, base: { service: name }, timestamp: pino.stdTimeFunctions.isoTime }, guarded)
}

function processOutput(): DestinationStream {
  const output = new StandardOutput()
  // `hasColors` looks at NO_COLOR and FORCE_COLOR, too.
  return process.stdout.isTTY ? readable(output, process.stdout.hasColors()) : output
}

/** Passes on each line as a person wants to read it. */
export function readable(output: DestinationStream, colours: boolean): DestinationStream {
  const paint = paintWith(colours)
  return {
    write: (json) => {
      const line = readableLine(json, paint)
      output.write(line ? `${paint(line.time, 90)}  ${line.text}\n` : json)
    },
  }
}

/** For tests, and wherever nobody listens. */
export const silentLog: Logger = pino({ level: 'silent' })
