import { JsonError } from './json-error.ts'
import { countMembers, membersIn } from './json-members.ts'
import { SourceReader } from './json-source-reader.ts'

export { JsonError, type JsonErrorCode } from './json-error.ts'
export { JsonNumber, toNumber, writeJson } from './json-number.ts'

export interface JsonOptions {
  /** Deeper texts are refused: JSON.stringify and every walk over a value recurse. */
  readonly maxDepth?: number
}

/** Deeper than any message that a person wrote, and far from the end of the stack. */
const MAX_DEPTH = 64

/**
 * Numbers that JavaScript may change: those of 16 digits, or with an exponent of three. A double keeps every other one
 * (IEEE 754: 15 digits up to 1e308). Strings that look so only cost a second reading.
 */
const MAY_BE_INEXACT = /(?:^|[[:,\s])-?(?:[\d.]{16}|\d+(?:\.\d+)?[eE][+-]?\d{3})/
/** Numbers that JavaScript may write otherwise: also -0, exponents, zeros at the end, and what it gives an exponent. */
const MAY_BE_REWRITTEN =
  /(?:^|[[:,\s])(?:-0(?![.\d])|-?(?:[\d.]{16}|\d+(?:\.\d+)?[eE]|\d+\.(?:0{6}|\d*0(?!\d))))/

/**
 * Reads a JSON text whose values are to be used: each number is exactly the one that was sent, or the text is refused. So is
 * a text with a member twice, of which JavaScript would keep the last.
 * @throws {JsonError}
 */
export function parseJson(text: string, { maxDepth = MAX_DEPTH }: JsonOptions = {}): unknown {
  const { value, unique } = parse(text, maxDepth)
  return unique && !MAY_BE_INEXACT.test(text) ? value : new SourceReader(text, 'refuse').read()
}

/**
 * Reads a JSON text whose values are to be shown or passed on: a number that JavaScript would write otherwise becomes a
 * JsonNumber, which writeJson writes as it was.
 * @throws {JsonError} as parseJson does, but for no number
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
  // Of two equal names JSON.parse keeps one, so a lost member shows as a colon too many.
  return { value, unique: membersIn(value) === members }
}
