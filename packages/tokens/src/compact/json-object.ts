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
