/** Formats a list as `["a" "b"]`, quoted and escaped, so that no name can forge a log line. */
export const quoteAll = (names: readonly string[]): string => `[${names.map(quote).join(' ')}]`

/** Quotes a string as Go's `%q` does: escapes everything but printable characters. */
function quote(text: string): string {
  let quoted = ''
  for (const character of text) quoted += escaped(character)
  return `"${quoted}"`
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

function escaped(character: string): string {
  const short = SHORT[character]
  if (short) return short
  if (character === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character
  const code = character.codePointAt(0) as number
  if (code >= 0xd800 && code <= 0xdfff) return '\\ufffd'
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
  return code <= 0xffff
    ? `\\u${code.toString(16).padStart(4, '0')}`
    : `\\U${code.toString(16).padStart(8, '0')}`
}
