import { JsonError } from './json-error.ts'
import { countMembers, membersIn } from './json-members.ts'
import { SourceReader } from './json-source-reader.ts'

export { JsonError, type JsonErrorCode } from './json-error.ts'
export { JsonNumber, toNumber, writeJson } from './json-number.ts'

export interface JsonOptions {
  /** Deeper texts are rejected, because JSON.stringify and every function that walks a value recurse. */
  readonly maxDepth?: number
}

/** Deeper than any realistic message, and far below the stack limit. */
const MAX_DEPTH = 64

/**
 * Matches numbers that JavaScript may change: 16 or more digits, or a three-digit exponent. A double keeps all others
 * (IEEE 754: 15 digits up to 1e308). A match inside a string only costs a second pass.
 */
const MAY_BE_INEXACT = /(?:^|[[:,\s])-?(?:[\d.]{16}|\d+(?:\.\d+)?[eE][+-]?\d{3})/
/** Matches numbers that JavaScript may write differently: also -0, exponents, trailing zeros, and small fractions. */
const MAY_BE_REWRITTEN =
  /(?:^|[[:,\s])(?:-0(?![.\d])|-?(?:[\d.]{16}|\d+(?:\.\d+)?[eE]|\d+\.(?:0{6}|\d*0(?!\d))))/

/**
 * Parses JSON whose values will be used. Rejects numbers that a double cannot represent exactly, and duplicate members, of
 * which JavaScript would keep the last.
 * @throws {JsonError}
 */
export function parseJson(text: string, { maxDepth = MAX_DEPTH }: JsonOptions = {}): unknown {
  const { value, unique } = parse(text, maxDepth)
  return unique && !MAY_BE_INEXACT.test(text) ? value : new SourceReader(text, 'reject').read()
}

/**
 * Parses JSON whose values will be shown or forwarded. A number that JavaScript would write differently becomes a
 * JsonNumber, which writeJson writes unchanged.
 * @throws {JsonError} like parseJson, but never `inexact_number`
 */
export function readJson(text: string, { maxDepth = MAX_DEPTH }: JsonOptions = {}): unknown {
  const { value, unique } = parse(text, maxDepth)
  return unique && !MAY_BE_REWRITTEN.test(text) ? value : new SourceReader(text, 'keep').read()
}

function parse(text: string, maxDepth: number) {
  const members = countMembers(text, maxDepth)
  if (members === undefined)
    throw new JsonError('json_too_deep', `The JSON nests deeper than ${maxDepth} levels.`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new JsonError('malformed_json', 'The text is not valid JSON.', { cause })
  }
  // JSON.parse keeps one of two equal names, so a duplicate member shows as an extra colon.
  return { value, unique: membersIn(value) === members }
}
