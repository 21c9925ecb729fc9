import { JsonError, parseJson } from '@hallpass/untrusted/json'
import { InvalidArgumentError } from 'commander'
import { CommandFailure, EXIT } from '../failure.ts'
import { readStdin, type Terminal } from './terminal.ts'

/** Parses an http or https URL. @throws {InvalidArgumentError} */
export function parseHttpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError(`${text} is not an http or https URL.`)
  if (url.username !== '' || url.password !== '')
    throw new InvalidArgumentError(
      'The URL contains a password, which the shell history would store. Remove it.',
    )
  return text
}

/** Parses `tcp://host:port`, with an IPv6 address in brackets. @throws {InvalidArgumentError} */
export function parseTcpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'tcp:' || url.hostname === '' || url.port === '')
    throw new InvalidArgumentError(
      `${text} is not a TCP address. Examples: tcp://localhost:7001, tcp://[::1]:7001.`,
    )
  if (!/^tcp:\/\/[^/?#@]+\/?$/.test(text))
    throw new InvalidArgumentError('A TCP address consists only of a host and a port.')
  return text
}

/** Parses a token that fits into a header. @throws {InvalidArgumentError} */
export function parseToken(text: string): string {
  const token = withoutBearer(text)
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new InvalidArgumentError(
      'A token consists of visible ASCII characters, without spaces and line breaks.',
    )
  return token
}

const SECONDS_PER_UNIT = { s: 1, m: 60, h: 3_600, d: 86_400 } as const
const PART = /(\d+)([smhd])/g

/** Parses a duration (`60`, `60s`, `5m`, `1h30m`) to seconds. @throws {InvalidArgumentError} */
export function parseSeconds(text: string): number {
  const seconds = /^\d+$/.test(text)
    ? Number(text)
    : /^(\d+[smhd])+$/.test(text)
      ? [...text.matchAll(PART)].reduce(
          (sum, [, amount, unit]) => sum + Number(amount) * SECONDS_PER_UNIT[unit as 's'],
          0,
        )
      : 0
  if (!Number.isSafeInteger(seconds) || seconds === 0)
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not a valid duration. Examples: 60, 60s, 5m, 1h.`,
    )
  return seconds
}

/** Parses claims, a JSON object. @throws {CommandFailure} 2, with the reason */
export function parseClaims(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new CommandFailure(
      error.code === 'malformed_json'
        ? `Claims must be a JSON object, such as {"sub":"example"}. This is not valid JSON: ${text.slice(0, 40)}`
        : `Claims: ${error.message}`,
      EXIT.usage,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandFailure('Claims must be a JSON object.', EXIT.usage)
  return value as Readonly<Record<string, unknown>>
}

/**
 * Returns an argument, or standard input in place of `-`.
 * @throws {CommandFailure} 2 if standard input is a terminal or empty
 */
export async function argumentOrStdin(given: string, what: string, terminal: Terminal): Promise<string> {
  if (given !== '-') return given
  if (terminal.stdin.isTTY) throw new CommandFailure(`Give ${what}, or pipe it in.`, EXIT.usage)
  const text = (await readStdin(terminal)).trim()
  if (text === '')
    throw new CommandFailure(`Standard input is empty; give ${what}, or pipe it in.`, EXIT.usage)
  return text
}

/** Removes the prefix `Bearer`, which people often copy with a token. */
export const withoutBearer = (text: string): string => text.trim().replace(/^bearer\s+/i, '')
