/**
 * Matches characters that a terminal interprets or hides: C0 and C1 controls (ESC starts colors, titles, clipboard writes;
 * U+009B is ESC [ in one character), line and paragraph separators, bidirectional overrides, zero-width and other
 * invisible characters, lone surrogates. Not U+FE0E and U+FE0F, which only select the text or emoji form of a character.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|(?![\u{fe0e}\u{fe0f}])\p{Default_Ignorable_Code_Point}/gu

/** Matches most texts, with a fast check. */
const PRINTABLE = /^[ -~]*$/

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/**
 * Replaces every character that could move the cursor, change colors, reorder the line or be invisible with an escape:
 * `\n`, `\u001b`, `\u{e0041}`. The result is always one line.
 */
export const escapeForTerminal = (text: string): string =>
  PRINTABLE.test(text) ? text : text.replace(UNSAFE, (character) => SHORT[character] ?? codePoint(character))

function codePoint(character: string): string {
  const hex = (character.codePointAt(0) as number).toString(16)
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`
}

/**
 * Makes JSON safe for a terminal without changing its value: in JSON, such characters occur only in strings,
 * where `\u` can express them. Keeps white space between values.
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
