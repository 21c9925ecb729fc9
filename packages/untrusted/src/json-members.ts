const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c

/**
 * Counts the members of all objects in a JSON text, i.e. the colons outside strings.
 * @returns undefined if the text nests deeper than `maxDepth`
 */
export function countMembers(text: string, maxDepth: number): number | undefined {
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
      if (depth > maxDepth) return undefined
    } else if (code === 0x7d || code === 0x5d) {
      depth -= 1
    }
  }
  return members
}

/** Returns the index of the quote that ends the string starting at `start`, or the text's length if there is none. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return end
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

/** Counts the members of a parsed value, at every depth. */
export function membersIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let members = Array.isArray(value) ? 0 : Object.keys(value).length
  for (const member of Object.values(value))
    if (typeof member === 'object' && member !== null) members += membersIn(member)
  return members
}
