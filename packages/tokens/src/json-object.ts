import { isUtf8 } from 'node:buffer'

export type JsonObject = Readonly<Record<string, unknown>>

/** Real headers and claims nest two or three levels; a deep one only wants to exhaust the stack. */
const MAX_DEPTH = 32

const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c

/**
 * Reads a JSON object strictly: UTF-8 (RFC 8725 §3.7) without a byte order mark, no member twice (RFC 7515 §4,
 * RFC 7519 §4), nested at most {@link MAX_DEPTH} deep.
 * @returns the object, or the reason why there is none.
 */
export function parseJsonObject(bytes: Buffer): JsonObject | string {
  if (!isUtf8(bytes)) return 'not UTF-8'
  const text = bytes.toString('utf8')
  const members = countMembers(text)
  if (members === undefined) return `nested deeper than ${MAX_DEPTH}`
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'not JSON'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object'
  // JSON.parse keeps the last of two equal names, so a lost member shows as a colon too many.
  return countKeys(value) === members ? (value as JsonObject) : 'a member occurs twice'
}

/** How many members all objects of the text have together: the colons outside strings. Undefined when too deep. */
function countMembers(text: string): number | undefined {
  let members = 0
  let depth = 0
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) {
      index = endOfString(text, index)
    } else if (code === COLON) {
      members += 1
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1
      if (depth > MAX_DEPTH) return undefined
    } else if (code === 0x7d || code === 0x5d) {
      depth -= 1
    }
  }
  return members
}

/** The index of the quote that ends the string which starts at `start`; the text's end when none does. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return end
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

function countKeys(value: object): number {
  let keys = 0
  if (!Array.isArray(value)) keys = Object.keys(value).length
  for (const member of Object.values(value))
    if (typeof member === 'object' && member !== null) keys += countKeys(member)
  return keys
}
