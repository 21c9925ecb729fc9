/** A number that JavaScript would change, as it was written. {@link writeJson} writes it so again. */
export class JsonNumber {
  /** The digits, sign and exponent of the JSON text. */
  readonly source: string

  constructor(source: string) {
    this.source = source
  }

  toString(): string {
    return this.source
  }

  /** Outside of writeJson its digits as a string: another type, but not another number. */
  toJSON(): string {
    return writing ? MARK + this.source : this.source
  }
}

/** Stands before a number while writeJson writes. Nobody outside can guess it, so no string is taken for a number. */
const MARK = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-')
const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g')
let writing = false

/** Returns the value as JSON, like JSON.stringify, with each {@link JsonNumber} as it was written. */
export function writeJson(value: unknown, indent?: number): string {
  writing = true
  try {
    const text = JSON.stringify(value, undefined, indent)
    return text?.includes(MARK) ? text.replaceAll(MARKED, '$1') : text
  } finally {
    writing = false
  }
}

/** The number that a value of {@link readJson} is: of a JsonNumber, when it is exact (`1e3`, `2.0`). What is none stays as it is. */
export const toNumber = (value: unknown): unknown =>
  value instanceof JsonNumber && isExact(value.source) ? Number(value.source) : value

/** Whether JavaScript writes the very number that a JSON text has: 1.0 and 1 are one number, 1e400 and Infinity are not. */
export function isExact(source: string): boolean {
  const number = Number(source)
  return Number.isFinite(number) && decimal(source) === decimal(String(number))
}

/** One form for every way to write a number: its digits without zeros around them, and the power of ten behind them. */
function decimal(source: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  // RFC 8259 has a minus zero, mathematics has not.
  if (kept === '') return '0'
  return `${sign}${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`
}
