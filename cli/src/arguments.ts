import { JsonError, parseJson } from '@hallpass/untrusted/json'
import { InvalidArgumentError } from 'commander'
import { CommandFailure, EXIT } from './failure.ts'
import { readStdin, type Terminal } from './terminal.ts'

/** An http or https URL. @throws {InvalidArgumentError} */
export function parseHttpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol))
    throw new InvalidArgumentError(`${text} is not an http or https URL.`)
  if (url.username !== '' || url.password !== '')
    throw new InvalidArgumentError(
      'A URL with a password in it is in the history of the shell; leave it out.',
    )
  return text
}

/** `tcp://host:port`; an IPv6 address stands in brackets. @throws {InvalidArgumentError} */
export function parseTcpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'tcp:' || url.hostname === '' || url.port === '')
    throw new InvalidArgumentError(`${text} is not a TCP address: tcp://localhost:7001, tcp://[::1]:7001.`)
  if (!/^tcp:\/\/[^/?#@]+\/?$/.test(text))
    throw new InvalidArgumentError('A TCP address has a host and a port, and nothing else.')
  return text
}

/** A token as it fits into a header. @throws {InvalidArgumentError} */
export function parseToken(text: string): string {
  const token = withoutBearer(text)
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new InvalidArgumentError('A token has no spaces, no line breaks and nothing beyond ASCII.')
  return token
}

const SECONDS_PER_UNIT = { s: 1, m: 60, h: 3_600, d: 86_400 } as const
const PART = /(\d+)([smhd])/g

/** A duration in seconds: `60`, `60s`, `5m`, `1h30m`. @throws {InvalidArgumentError} */
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
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not a valid duration: 60, 60s, 5m or 1h.`)
  return seconds
}

/** Claims as a JSON object. @throws {CommandFailure} 2, with what is wrong */
export function parseClaims(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new CommandFailure(
      error.code === 'malformed_json'
        ? `Claims are a JSON object, such as {"sub":"example"}; this is not JSON: ${text.slice(0, 40)}`
        : `Claims: ${error.message}`,
      EXIT.usage,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandFailure('Claims are a JSON object.', EXIT.usage)
  return value as Readonly<Record<string, unknown>>
}

/**
 * An argument, or what standard input has in its place.
 * @throws {CommandFailure} 2 when it is to be typed, or when nothing came
 */
export async function argumentOrStdin(given: string, what: string, terminal: Terminal): Promise<string> {
  if (given !== '-') return given
  if (terminal.stdin.isTTY) throw new CommandFailure(`Give ${what}, or pipe it in.`, EXIT.usage)
  const text = (await readStdin(terminal)).trim()
  if (text === '')
    throw new CommandFailure(`Standard input is empty; give ${what}, or pipe it in.`, EXIT.usage)
  return text
}

/** A token as people copy it, without the word before it. */
export const withoutBearer = (text: string): string => text.trim().replace(/^bearer\s+/i, '')
