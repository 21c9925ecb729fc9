import { isUtf8 } from 'node:buffer'
import { JsonError, type JsonErrorCode, parseJson } from '@hallpass/untrusted/json'

export type JsonObject = Readonly<Record<string, unknown>>

/** Real headers and claims nest two or three levels; deep nesting is an attempt to exhaust the stack. */
const MAX_DEPTH = 32

/** The detail shown for each error. Member names come from the sender, so they are left out, except for inexact numbers. */
const DETAILS: Readonly<Record<Exclude<JsonErrorCode, 'inexact_number'>, string>> = {
  malformed_json: 'not JSON',
  duplicate_member: 'a member occurs twice',
  json_too_deep: `nested deeper than ${MAX_DEPTH}`,
}

/**
 * Parses a JSON object strictly: UTF-8 (RFC 8725 §3.7) without a byte order mark, no duplicate members (RFC 7515 §4,
 * RFC 7519 §4), no numbers that JavaScript would change, at most {@link MAX_DEPTH} levels deep.
 * @returns the object, or the reason why parsing failed.
 */
export function parseJsonObject(bytes: Buffer): JsonObject | string {
  if (!isUtf8(bytes)) return 'not UTF-8'
  let value: unknown
  try {
    value = parseJson(bytes.toString('utf8'), { maxDepth: MAX_DEPTH })
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    return error.code === 'inexact_number' ? error.message : DETAILS[error.code]
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object'
  return value as JsonObject
}

/**
 * Finds a value that JSON.stringify would change, drop or reject, so that the signed claims would not be those that were asked
 * for: NaN and Infinity become null, undefined disappears, a Date becomes a string.
 * @returns the path of its member and what is wrong with it, or undefined if there is none.
 */
export function findNonJson(
  value: unknown,
  path = '',
  depth = 0,
): { readonly path: string; readonly why: string } | undefined {
  const wrong = (why: string) => ({ path, why })
  if (typeof value === 'number')
    return Number.isFinite(value) ? undefined : wrong(`is ${value}, which JSON cannot represent`)
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return undefined
  if (typeof value === 'bigint') return wrong('is a bigint; send it as a string')
  if (typeof value !== 'object')
    return wrong(`is ${typeof value === 'undefined' ? '' : 'a '}${typeof value}, which JSON would drop`)
  // Verifiers reject deeper tokens; this also ends the walk through a cycle.
  if (depth >= MAX_DEPTH) return wrong(`is nested deeper than ${MAX_DEPTH} levels`)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null)
    return wrong('is an instance of a class; use a plain object, list, string or number')
  // Not Object.entries: it skips the holes of a list, which become null.
  const entries: Iterable<[string | number, unknown]> = Array.isArray(value)
    ? value.entries()
    : Object.entries(value)
  for (const [name, member] of entries) {
    const step = typeof name === 'number' ? `[${name}]` : path === '' ? name : `.${name}`
    const found = findNonJson(member, path + step, depth + 1)
    if (found) return found
  }
  return undefined
}
