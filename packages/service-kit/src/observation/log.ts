import { escapeJsonForTerminal } from '@hallpass/untrusted/terminal'
import { type DestinationStream, type Logger, pino } from 'pino'
import { paintWith, readableLine } from './readable-log.ts'
import { StandardOutput } from './standard-output.ts'

export type { Logger } from 'pino'

/** Anything that looks like a JWT: no log line may contain one, wherever it came from. */
const TOKEN = /eyJ[\w-]{5,}(\.[\w-]*)*/g

/** Replaces each token in a string with `[token]`. */
export const cutTokens = (text: string): string =>
  text.includes('eyJ') ? text.replace(TOKEN, '[token]') : text

/**
 * Writes JSON lines to standard output, or readable lines if that is a terminal. Callers log only the `jti` of a token;
 * anything that still looks like a token is removed here, as the last line of defense. Characters that a terminal would
 * interpret or hide are escaped as `\u`, including C1 and bidirectional controls, which JSON does not require.
 */
export function createLog(name: string, level: string, stream: DestinationStream = processOutput()): Logger {
  const guarded: DestinationStream = {
    write: (line) => stream.write(escapeJsonForTerminal(cutTokens(line))),
  }
  return pino({ name, level, base: { service: name }, timestamp: pino.stdTimeFunctions.isoTime }, guarded)
}

function processOutput(): DestinationStream {
  const output = new StandardOutput()
  // `hasColors` honors NO_COLOR and FORCE_COLOR.
  return process.stdout.isTTY ? readable(output, process.stdout.hasColors()) : output
}

/** Returns a stream that formats each JSON line for a person. */
export function readable(output: DestinationStream, colours: boolean): DestinationStream {
  const paint = paintWith(colours)
  return {
    write: (json) => {
      const line = readableLine(json, paint)
      output.write(line ? `${paint(line.time, 90)}  ${line.text}\n` : json)
    },
  }
}

/** Discards everything: for tests and libraries without a log. */
export const silentLog: Logger = pino({ level: 'silent' })
