import { JsonError, parseJson } from '@hallpass/untrusted/json'
import { keyvalError } from '../operators/key-values.ts'

/** What a request asks for one key; `null` removes it. */
export interface KeyvalChange {
  readonly key: string
  readonly value: string | null
  /** Milliseconds. */
  readonly expire?: number
}

/** A user agent is the longest part of a key, and browsers' stay below 512 characters. */
const MAX_KEY_LENGTH = 2_048
/** A day: who is to be kept out for longer is to be denied at the auth tier. */
const MAX_EXPIRE_MS = 24 * 3_600_000

/** The pairs of a POST or PATCH body, as nginx's documentation describes them. */
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
    throw keyvalError(400, 'KeyvalFormatError', 'the body must be an object of keys and values')
  const changes = Object.entries(body).map(([key, value]) => parsePair(key, value))
  if (changes.length === 0) throw keyvalError(400, 'KeyvalFormatError', 'key required')
  return changes
}

function parsePair(key: string, given: unknown): KeyvalChange {
  if (key === '' || key.length > MAX_KEY_LENGTH)
    throw keyvalError(400, 'KeyvalFormatError', `a key has 1 to ${MAX_KEY_LENGTH} characters`)
  if (typeof given !== 'object' || given === null) return { key, value: textOf(given) }
  const { value, expire, ...rest } = given as { value?: unknown; expire?: unknown }
  if (Object.keys(rest).length > 0)
    throw keyvalError(
      400,
      'KeyvalFormatError',
      'a value may have the members value and expire, and no others',
    )
  if (expire === undefined) return { key, value: textOf(value) }
  if (typeof expire !== 'number' || !Number.isInteger(expire) || expire < 1 || expire > MAX_EXPIRE_MS)
    throw keyvalError(
      400,
      'KeyvalFormatError',
      `expire is a number of milliseconds from 1 to ${MAX_EXPIRE_MS}`,
    )
  return { key, value: textOf(value), expire }
}

function textOf(value: unknown): string | null {
  if (value === null) return null
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw keyvalError(400, 'KeyvalFormatError', 'a value is a text')
}

/** Nobody can plant a token: what an operator may write is the value that blocks. */
export function requireBlock({ value }: KeyvalChange): void {
  if (value !== '0')
    throw keyvalError(
      400,
      'KeyvalFormatError',
      'the only value that can be written is "0"; tokens come from the issuer',
    )
}
