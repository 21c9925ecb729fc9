/**
 * What a terminal obeys or does not show: controls of C0 and C1 (ESC starts colours, titles, clipboard writes; U+009B is
 * ESC [ in one character), line and paragraph separators, bidirectional overrides, zero-width and other invisible
 * characters, lone surrogates. U+FE0E and U+FE0F only choose between the two forms of a sign: emoji need them.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|(?![\u{fe0e}\u{fe0f}])\p{Default_Ignorable_Code_Point}/gu

/** Most of what is written, and quick to know. */
const PRINTABLE = /^[ -~]*$/

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Returns the text with `\n`, `\u001b`, `\u{e0041}` in place of every character that could move the cursor, change
 * colours, reorder the line or hide. The result is one line, whatever the text was.
 */
export const escapeForTerminal = (text: string): string =>
  PRINTABLE.test(text) ? text : text.replace(UNSAFE, (character) => SHORT[character] ?? codePoint(character))

function codePoint(character: string): string {
  const hex = (character.codePointAt(0) as number).toString(16)
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`
}

/**
 * Returns a JSON text that is safe on a terminal and means exactly the same: in JSON every such character can only stand
 * in a string, where `\u` writes it. White space between values is kept.
 */
export const escapeJsonForTerminal = (json: string): string =>
  PRINTABLE_LINES.test(json)
    ? json
    : json.replace(UNSAFE, (character) => (/[\t\n\r]/.test(character) ? character : codeUnits(character)))

const PRINTABLE_LINES = /^[\t\n\r -~]*$/

const codeUnits = (character: string) =>
  Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('')
