import { JsonError, parseJson } from '@hallpass/untrusted/json'
import { keyvalError } from '../operators/index.ts'

/** A requested change of one key; `null` removes it. */
export interface KeyvalChange {
  readonly key: string
  readonly value: string | null
  /** Milliseconds. */
  readonly expire?: number
}

/** A user agent is the longest part of a key, and those of browsers have fewer than 512 characters. */
const MAX_KEY_LENGTH = 2_048
/** One day; to block a user for longer, deny it at the auth tier. */
const MAX_EXPIRE_MS = 24 * 3_600_000

/** Parses the pairs of a POST or PATCH body, as nginx documents them. */
export function parseKeyvalBody(text: unknown): KeyvalChange[] {
  let body: unknown
  try {
    body = parseJson(String(text))
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    if (error.code === 'malformed_json') throw keyvalError(415, 'JsonError', 'the body is not JSON')
    throw keyvalError(400, 'KeyvalFormatError', error.message)
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw keyvalError(400, 'KeyvalFormatError', 'the body must be a JSON object of keys and values')
  const changes = Object.entries(body).map(([key, value]) => parsePair(key, value))
  if (changes.length === 0) throw keyvalError(400, 'KeyvalFormatError', 'key required')
  return changes
}

function parsePair(key: string, given: unknown): KeyvalChange {
  if (key === '' || key.length > MAX_KEY_LENGTH)
    throw keyvalError(400, 'KeyvalFormatError', `a key must have 1 to ${MAX_KEY_LENGTH} characters`)
  if (typeof given !== 'object' || given === null) return { key, value: textOf(given) }
  const { value, expire, ...rest } = given as { value?: unknown; expire?: unknown }
  if (Object.keys(rest).length > 0)
    throw keyvalError(400, 'KeyvalFormatError', 'a value can have only the members value and expire')
  if (expire === undefined) return { key, value: textOf(value) }
  if (typeof expire !== 'number' || !Number.isInteger(expire) || expire < 1 || expire > MAX_EXPIRE_MS)
    throw keyvalError(
      400,
      'KeyvalFormatError',
      `expire must be an integer from 1 to ${MAX_EXPIRE_MS} (milliseconds)`,
    )
  return { key, value: textOf(value), expire }
}

function textOf(value: unknown): string | null {
  if (value === null) return null
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw keyvalError(400, 'KeyvalFormatError', 'a value must be a string')
}

/** Rejects any value except the one that blocks, so that nobody can inject a token. */
export function requireBlock({ value }: KeyvalChange): void {
  if (value !== '0')
    throw keyvalError(
      400,
      'KeyvalFormatError',
      'the only value that can be written is "0"; tokens come from the issuer',
    )
}
