/**
 * JSON as a page shows it: the text as it was signed, on lines of its own, and not what JavaScript makes of it. The
 * services have the same in packages/untrusted, which a page without a build step cannot load.
 */

/** The pieces of a JSON text that JSON.parse has taken: strings, punctuation, and numbers or words. */
const PIECES = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g
/** What a page would not show, or would show elsewhere; inside a string `\u` means the same. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** As packages/untrusted: deeper than any message that a person wrote, and far from the end of the stack. */
export const MAX_DEPTH = 64

/**
 * Whether a text nests deeper than MAX_DEPTH; to be asked before anything walks over its value, as walks recurse.
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
 * A text of a token as a page may show it: what is invisible, or would reorder the line, becomes visible.
 * @param {string} text
 */
export const visible = (text) => text.replace(INVISIBLE, escaped)

/**
 * A value of a token in a sentence; `String` would call the members of an object.
 * @param {unknown} value
 */
export const inWords = (value) => (typeof value === 'string' ? value : JSON.stringify(value))

/**
 * Breaks a JSON text into lines and changes nothing else but invisible characters in strings, which become visible.
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
 * What a verifier in JavaScript would lose or change of a JSON text, as one sentence; nothing when it is read as it is.
 * @param {string} json that JSON.parse has taken
 * @returns {string | undefined}
 */
export function lossIn(json) {
  const pieces = [...json.matchAll(PIECES)].map(([piece]) => piece)
  const members = pieces.filter((piece) => piece === ':').length
  if (countMembers(JSON.parse(json)) !== members)
    return 'A member occurs twice, and verifiers differ in which counts.'
  const number = pieces.find(
    (piece) => /^[-\d]/.test(piece) && decimal(piece) !== decimal(String(Number(piece))),
  )
  return number === undefined ? undefined : `${number.slice(0, 40)} is a number that many verifiers change.`
}

/** @param {unknown} value @returns {number} */
const countMembers = (value) =>
  typeof value !== 'object' || value === null
    ? 0
    : Object.values(value).reduce(
        (sum, member) => sum + countMembers(member),
        Array.isArray(value) ? 0 : Object.keys(value).length,
      )

/** One form for every way to write a number: its digits, and the power of ten behind them. @param {string} source */
function decimal(source) {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  if (kept === '') return /\d/.test(source) ? '0' : source
  return `${sign}${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`
}
