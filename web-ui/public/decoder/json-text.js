/**
 * Formats JSON for display exactly as it was signed, not as JavaScript would write it again. The services use
 * packages/untrusted for this, which a page without a build step cannot load.
 */

/** The tokens of valid JSON: strings, punctuation, and numbers or literals. */
const PIECES = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g
/** Characters that are invisible or reorder the line. Inside a string, `\u` has the same meaning. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** The same limit as in packages/untrusted: deeper than any real message, far from a stack overflow. */
export const MAX_DEPTH = 64

/**
 * Returns whether JSON nests deeper than MAX_DEPTH. Call it before walking over the value: walks are recursive.
 * @param {string} json
 */
export function isTooDeep(json) {
  let depth = 0
  for (const [piece] of json.matchAll(PIECES)) {
    if (piece === '{' || piece === '[') depth += 1
    if (piece === '}' || piece === ']') depth -= 1
    if (depth > MAX_DEPTH) return true
  }
  return false
}

/**
 * Escapes characters that are invisible or reorder the line.
 * @param {string} text
 */
export const visible = (text) => text.replace(INVISIBLE, escaped)

/**
 * Formats a value of a token for a sentence. `String` would call methods of an object.
 * @param {unknown} value
 */
export const inWords = (value) => (typeof value === 'string' ? value : JSON.stringify(value))

/**
 * Breaks JSON into indented lines. Changes nothing else, except that it escapes invisible characters in strings.
 * @param {string} json
 */
export function indentJson(json) {
  let text = ''
  let depth = 0
  let before = ''
  for (const [piece] of json.matchAll(PIECES)) {
    const closes = piece === '}' || piece === ']'
    const opened = before === '{' || before === '['
    if (closes) depth -= 1
    // Empty objects and arrays stay on one line.
    if (closes !== opened || before === ',') text += `\n${'  '.repeat(depth)}`
    text += piece === ':' ? ': ' : piece.startsWith('"') ? visible(piece) : piece
    if (piece === '{' || piece === '[') depth += 1
    before = piece
  }
  return text
}

/** @param {string} character */
const escaped = (character) =>
  Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('')

/**
 * Returns what a JavaScript verifier would lose or change when it parses the JSON, or undefined if nothing.
 * @param {string} json valid JSON
 * @returns {string | undefined}
 */
export function lossIn(json) {
  const pieces = [...json.matchAll(PIECES)].map(([piece]) => piece)
  const members = pieces.filter((piece) => piece === ':').length
  if (countMembers(JSON.parse(json)) !== members)
    return 'A member occurs twice. Verifiers differ in which one they use.'
  const number = pieces.find(
    (piece) => /^[-\d]/.test(piece) && decimal(piece) !== decimal(String(Number(piece))),
  )
  return number === undefined
    ? undefined
    : `Many verifiers cannot represent the number ${number.slice(0, 40)} exactly.`
}

/** @param {unknown} value @returns {number} */
const countMembers = (value) =>
  typeof value !== 'object' || value === null
    ? 0
    : Object.values(value).reduce(
        (sum, member) => sum + countMembers(member),
        Array.isArray(value) ? 0 : Object.keys(value).length,
      )

/** Normalizes a number to its digits and a power of ten. @param {string} source */
function decimal(source) {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  if (kept === '') return /\d/.test(source) ? '0' : source
  return `${sign}${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`
}
