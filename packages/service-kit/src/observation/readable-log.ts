import { escapeForTerminal } from '@hallpass/untrusted/terminal'

/** Applies a color (ECMA-48: 31 red, 32 green, …) to a string, or returns it unchanged. */
export type Paint = (text: string, colour: number) => string

export const paintWith =
  (colours: boolean): Paint =>
  (text, colour) =>
    colours ? `\x1b[${colour}m${text}\x1b[0m` : text

const LEVELS: Readonly<Record<number, string>> = { 40: 'warning', 50: 'error', 60: 'fatal' }
/** From this level on the stack is shown: the error is a bug. */
const ERROR_LEVEL = 50
/** Fields that the line already shows, or that only machines need. */
const SHOWN = new Set([
  'level',
  'time',
  'service',
  'msg',
  'name',
  'method',
  'path',
  'status',
  'ms',
  'requestId',
  'traceId',
  'err',
])

export interface ReadableLine {
  /** The time of day, in milliseconds. */
  readonly time: string
  readonly text: string
}

/**
 * Formats a JSON log line for a person; returns `undefined` for any other line. Paths, names and messages are
 * untrusted, so everything except the colors is escaped.
 */
export function readableLine(json: string, paint: Paint): ReadableLine | undefined {
  const entry = parse(json)
  return (
    entry && { time: escapeForTerminal(String(entry.time ?? '').slice(11, 23)), text: describe(entry, paint) }
  )
}

function describe(entry: Record<string, unknown>, paint: Paint): string {
  const level = Number(entry.level)
  const status = entry.msg === 'request' ? Number(entry.status) : 0
  const rest = Object.entries(entry)
    .filter(([name]) => !SHOWN.has(name))
    .map(([name, value]) =>
      escapeForTerminal(`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`),
    )
  // To find the same request in the logs of the other services.
  if (entry.requestId !== undefined && (status >= 500 || level >= ERROR_LEVEL))
    rest.push(escapeForTerminal(`requestId=${entry.requestId}`))
  const error = entry.err as { message?: string; stack?: string } | undefined
  if (error?.message) rest.push(escapeForTerminal(error.message))
  const details = rest.length > 0 ? paint(` ${rest.join(' ')}`, 90) : ''
  if (entry.msg === 'request') {
    const request = escapeForTerminal(`${entry.method} ${entry.path}`)
    const painted = paint(String(status), status >= 500 ? 31 : status >= 400 ? 33 : 32)
    return `${request} ${painted} ${Number(entry.ms)} ms${details}`
  }
  const label = LEVELS[level]
  const stack = level >= ERROR_LEVEL ? framesOf(error?.stack) : ''
  return `${label ? paint(`${label}: `, 31) : ''}${escapeForTerminal(String(entry.msg ?? ''))}${details}${stack && paint(stack, 90)}`
}

/** Returns the frames of a stack, one per line, to follow the line with the message. */
const framesOf = (stack: string | undefined) =>
  (stack?.split('\n') ?? [])
    .filter((line) => /^\s+at /.test(line))
    .map((line) => `\n    ${escapeForTerminal(line.trim())}`)
    .join('')

function parse(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}
