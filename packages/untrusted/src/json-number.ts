/** Holds a number that JavaScript would change, in its original spelling. {@link writeJson} writes it unchanged. */
export class JsonNumber {
  /** The digits, sign and exponent of the JSON text. */
  readonly source: string

  constructor(source: string) {
    this.source = source
  }

  toString(): string {
    return this.source
  }

  /** Returns the digits as a string outside of writeJson: the type changes, but not the value. */
  toJSON(): string {
    return writing ? MARK + this.source : this.source
  }
}

/** Marks a number while writeJson runs. It is random, so that no string in the input can be mistaken for a number. */
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

/** Converts a JsonNumber to a number if that is exact (`1e3`, `2.0`); returns every other value unchanged. */
export const toNumber = (value: unknown): unknown =>
  value instanceof JsonNumber && isExact(value.source) ? Number(value.source) : value

/** Returns whether JavaScript represents a number's exact value: true for 1.0, false for 1e400. */
export function isExact(source: string): boolean {
  const number = Number(source)
  return Number.isFinite(number) && decimal(source) === decimal(String(number))
}

/** Returns the canonical form of a number: its digits without leading and trailing zeros, and a power of ten. */
function decimal(source: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  const kept = digits.replace(/0+$/, '')
  // -0, which RFC 8259 allows, has the same value as 0.
  if (kept === '') return '0'
  return `${sign}${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`
}
