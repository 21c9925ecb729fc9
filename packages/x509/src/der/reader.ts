import { TAG } from './tags.ts'

/** Reports bytes that are not DER, or not the expected element. */
export class DerError extends Error {
  readonly code = 'malformed_der'

  constructor(message: string) {
    super(message)
    this.name = 'DerError'
  }
}

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** The element with its tag and length. */
  readonly raw: Buffer
}

/**
 * Reads consecutive DER elements strictly: definite lengths in their shortest form, within bounds, one-byte tags. Rejects
 * everything that two readers could interpret differently, because a signature covers only the bytes.
 */
export class DerReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** Returns the tag of the next element; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#offset]
  }

  next(): Element {
    const start = this.#offset
    const tag = this.#byte()
    if ((tag & 0x1f) === 0x1f) throw new DerError('a tag has more than one byte')
    const length = this.#length()
    const contentStart = this.#offset
    const end = contentStart + length
    if (end > this.#bytes.length) throw new DerError('an element is truncated')
    this.#offset = end
    return { tag, content: this.#bytes.subarray(contentStart, end), raw: this.#bytes.subarray(start, end) }
  }

  expect(tag: number): Element {
    const element = this.next()
    if (element.tag !== tag)
      throw new DerError(`expected tag 0x${tag.toString(16)}, found 0x${element.tag.toString(16)}`)
    return element
  }

  /** Returns the next element if it has this tag. */
  optional(tag: number): Element | undefined {
    return this.peek() === tag ? this.next() : undefined
  }

  end(): void {
    if (!this.done) throw new DerError('unexpected trailing bytes')
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset]
    if (byte === undefined) throw new DerError('an element is truncated')
    this.#offset += 1
    return byte
  }

  #length(): number {
    const first = this.#byte()
    if (first < 0x80) return first
    const count = first & 0x7f
    if (count === 0) throw new DerError('a length is indefinite')
    if (count > 4) throw new DerError('a length has more than four bytes')
    let length = 0
    for (let index = 0; index < count; index++) length = length * 256 + this.#byte()
    if (length < 0x80 || length < 256 ** (count - 1))
      throw new DerError('a length is not in its shortest form')
    return length
  }
}

/** Makes a reader for the contents of a SEQUENCE or another constructed element. */
export const inside = (element: Element) => new DerReader(element.content)

/** Splits concatenated SEQUENCEs. */
export function splitSequences(bytes: Buffer): Buffer[] {
  const reader = new DerReader(bytes)
  const sequences: Buffer[] = []
  while (!reader.done) sequences.push(reader.expect(TAG.sequence).raw)
  return sequences
}

export function readBoolean({ content }: Element): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    throw new DerError('a boolean is neither 00 nor FF')
  return content[0] === 0xff
}

/** Reads a non-negative INTEGER of at most four bytes. */
export function readSmallInteger({ content }: Element): number {
  if (content.length === 0 || content.length > 4 || (content[0] as number) >= 0x80)
    throw new DerError('an integer is negative or too large')
  if (content.length > 1 && content[0] === 0 && (content[1] as number) < 0x80)
    throw new DerError('an integer is not in its shortest form')
  return content.readUIntBE(0, content.length)
}

/** Returns the positions of the set bits, starting at 0. */
export function readBits({ content }: Element): ReadonlySet<number> {
  const unused = content[0]
  if (unused === undefined || unused > 7 || (content.length === 1 && unused > 0))
    throw new DerError('a bit string has no valid count of unused bits')
  const bits = new Set<number>()
  for (let index = 1; index < content.length; index++)
    for (let bit = 0; bit < 8; bit++)
      if (((content[index] as number) >> (7 - bit)) & 1) bits.add((index - 1) * 8 + bit)
  return bits
}

/** Reads an object identifier in dotted form, e.g. `2.5.29.17`. */
export function readObjectIdentifier({ content }: Element): string {
  if (content.length === 0 || (content.at(-1) as number) >= 0x80)
    throw new DerError('an object identifier is truncated')
  const arcs: number[] = []
  let arc = 0
  for (const byte of content) {
    arc = arc * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    if (arcs.length === 0) {
      const first = Math.min(2, Math.floor(arc / 40))
      arcs.push(first, arc - first * 40)
    } else arcs.push(arc)
    arc = 0
  }
  return arcs.join('.')
}

/** Reads a UTCTime or GeneralizedTime in the only form that RFC 5280 §4.1.2.5 allows, as milliseconds since the epoch. */
export function readTime({ tag, content }: Element): number {
  const text = content.toString('latin1')
  const pattern =
    tag === TAG.utcTime
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
      : tag === TAG.generalizedTime
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
        : undefined
  const parts = pattern?.exec(text)?.slice(1).map(Number)
  if (!parts) throw new DerError('a time is not in the form that RFC 5280 requires')
  const [year, month, day, hour, minute, second] = parts as [number, number, number, number, number, number]
  const fullYear = tag === TAG.utcTime ? (year < 50 ? 2000 + year : 1900 + year) : year
  const time = new Date(0)
  time.setUTCFullYear(fullYear, month - 1, day)
  time.setUTCHours(hour, minute, second)
  if (
    time.getUTCMonth() !== month - 1 ||
    time.getUTCDate() !== day ||
    hour > 23 ||
    minute > 59 ||
    second > 59
  )
    throw new DerError('a time is not a calendar date')
  return time.getTime()
}
