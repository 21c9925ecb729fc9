import { isUtf8 } from 'node:buffer'
import { MAX_EVENT_BYTES } from '@hallpass/event-stream'
import { JsonError, readJson } from '@hallpass/untrusted/json'

/** A part of the input that is not a valid JSON object; the parser has skipped it and continues. */
export class JsonObjectError extends Error {
  readonly code:
    | 'malformed_json'
    | 'not_an_object'
    | 'duplicate_member'
    | 'object_too_large'
    | 'object_too_deep'
    | 'object_cut'
  /** The status over HTTP. */
  readonly status: 400 | 413

  constructor(code: JsonObjectError['code'], message: string) {
    super(message)
    this.name = 'JsonObjectError'
    this.code = code
    this.status = code === 'object_too_large' ? 413 : 400
  }
}

export interface JsonObjectParserOptions {
  /** Numbers that JavaScript would change are JsonNumbers, so that events are forwarded unchanged. */
  readonly onObject: (object: Readonly<Record<string, unknown>>) => void
  readonly onError: (error: JsonObjectError) => void
  /** The maximum size of an object, in bytes; a larger one is skipped and reported. */
  readonly maxBytes?: number
}

/** An object larger than any event would rarely become one that readers accept; the event is measured, too. */
export const MAX_OBJECT_BYTES = MAX_EVENT_BYTES
/** Deeper than any real message. A limit is needed because JSON.stringify is recursive. */
export const MAX_DEPTH = 64
export const NOT_AN_OBJECT = 'A publication must be a JSON object, for example {"data": "Hello"}.'

const [TAB, LF, CR, SPACE, QUOTE, BACKSLASH] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x5c]
const [COMMA, COLON, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [
  0x2c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d,
]
/** Precedes each text of a JSON text sequence (RFC 7464). */
const RECORD_SEPARATOR = 0x1e
/** Some editors write one before the first object. */
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]

type Expected = 'key or }' | 'key' | ':' | 'value' | 'value or ]' | ', or end'

/**
 * Finds the JSON objects in a stream of UTF-8 bytes: one per line, pretty-printed, or directly one after the other, split
 * across chunks at any point. It follows the grammar (RFC 8259 §2) byte by byte, so that each byte is read once and an
 * invalid object is detected at its first error. The object is reported, and parsing continues after its closing brace or
 * at the next line that starts with a brace, whichever comes first.
 */
export class JsonObjectParser {
  readonly #options: JsonObjectParserOptions
  readonly #maxBytes: number
  /** The rest of the byte order mark with which the input can still begin. */
  #mark = BYTE_ORDER_MARK

  #mode: 'between' | 'object' | 'skipping' = 'between'
  /** Whether the invalid input before the current object has been reported. */
  #reported = false
  /** The object so far, one character per byte. */
  #text = ''
  #previous = LF

  #open: ('object' | 'array')[] = []
  #expected: Expected = 'key or }'
  #inString = false
  #escaped = false
  #inScalar = false
  #skipDepth = 0

  constructor(options: JsonObjectParserOptions) {
    this.#options = options
    this.#maxBytes = options.maxBytes ?? MAX_OBJECT_BYTES
  }

  /** Parses the next bytes, and calls `onObject` and `onError` in order for what they complete. */
  push(chunk: Uint8Array): void {
    // The grammar is ASCII; other bytes are decoded with their whole object, which is rejected if it is not UTF-8.
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    let start = 0
    for (let index = this.#passMark(text); index < text.length; index += 1) {
      if (this.#mode === 'object' && this.#inString && !this.#escaped) {
        // Most of an object is strings, so skip to the next character that can end one.
        index = nextInString(text, index)
        if (index === text.length) break
      }
      const code = text.charCodeAt(index)
      const outcome = this.#mode === 'object' ? this.#read(code) : 'outside'
      if (outcome === 'end') this.#finish(text.slice(start, index + 1))
      else if (outcome !== 'more') {
        if (outcome !== 'outside') this.#refuse(outcome)
        const mayStart = this.#mode === 'between' || this.#skip(code)
        if (mayStart && this.#startsAt(code)) start = index
      }
      this.#previous = code
    }
    if (this.#mode === 'object') this.#keep(text.slice(start))
  }

  /** Ends the input, and reports an object that is not complete. */
  end(): void {
    if (this.#mode === 'object') this.#report('object_cut')
    this.#mode = 'between'
    this.#text = ''
  }

  /** Returns the index after a byte order mark at the start of the input. */
  #passMark(text: string): number {
    let index = 0
    while (index < text.length && this.#mark.length > 0)
      if (text.charCodeAt(index) === this.#mark[0]) {
        this.#mark = this.#mark.slice(1)
        index += 1
      } else this.#mark = []
    return index
  }

  #startsAt(code: number): boolean {
    if (code === OPEN_OBJECT) {
      this.#mode = 'object'
      this.#text = ''
      this.#open = ['object']
      this.#expected = 'key or }'
      this.#inString = this.#escaped = this.#inScalar = this.#reported = false
      return true
    }
    if (!isSpace(code) && code !== RECORD_SEPARATOR && !this.#reported) {
      this.#reported = true
      this.#report('not_an_object')
    }
    if (code === LF) this.#reported = false
    return false
  }

  /** Reads one character of an object. */
  #read(code: number): 'more' | 'end' | JsonObjectError['code'] {
    if (this.#inString) return this.#readString(code)
    if (this.#inScalar) {
      if (isScalar(code)) return 'more'
      this.#inScalar = false
    }
    if (isSpace(code)) return 'more'
    const wantsValue = this.#expected === 'value' || this.#expected === 'value or ]'
    switch (code) {
      case QUOTE:
        if (wantsValue) this.#expected = ', or end'
        else if (this.#expected === 'key' || this.#expected === 'key or }') this.#expected = ':'
        else return 'malformed_json'
        this.#inString = true
        return 'more'
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        if (!wantsValue) return 'malformed_json'
        if (this.#open.length === MAX_DEPTH) return 'object_too_deep'
        this.#open.push(code === OPEN_OBJECT ? 'object' : 'array')
        this.#expected = code === OPEN_OBJECT ? 'key or }' : 'value or ]'
        return 'more'
      case CLOSE_OBJECT:
        return this.#close('object', 'key or }')
      case CLOSE_ARRAY:
        return this.#close('array', 'value or ]')
      case COLON:
        if (this.#expected !== ':') return 'malformed_json'
        this.#expected = 'value'
        return 'more'
      case COMMA:
        if (this.#expected !== ', or end') return 'malformed_json'
        this.#expected = this.#open.at(-1) === 'object' ? 'key' : 'value'
        return 'more'
      default:
        if (!wantsValue || !isScalar(code)) return 'malformed_json'
        this.#inScalar = true
        this.#expected = ', or end'
        return 'more'
    }
  }

  #readString(code: number): 'more' | 'malformed_json' {
    if (this.#escaped) this.#escaped = false
    else if (code === BACKSLASH) this.#escaped = true
    else if (code === QUOTE) this.#inString = false
    // A line break inside a string: the closing quote is missing.
    if (code < SPACE) return 'malformed_json'
    return 'more'
  }

  #close(kind: 'object' | 'array', whenEmpty: Expected): 'more' | 'end' | 'malformed_json' {
    if (this.#open.at(-1) !== kind) return 'malformed_json'
    if (this.#expected !== whenEmpty && this.#expected !== ', or end') return 'malformed_json'
    this.#open.pop()
    this.#expected = ', or end'
    return this.#open.length === 0 ? 'end' : 'more'
  }

  #keep(piece: string) {
    if (this.#text.length + piece.length > this.#maxBytes) this.#refuse('object_too_large')
    else this.#text += piece
  }

  #finish(piece: string) {
    this.#keep(piece)
    const complete = this.#mode === 'object'
    const bytes = Buffer.from(this.#text, 'latin1')
    this.#mode = 'between'
    this.#text = ''
    if (!complete) return
    if (!isUtf8(bytes)) return this.#report('malformed_json', 'The object is not valid UTF-8.')
    let object: Readonly<Record<string, unknown>>
    try {
      object = readJson(bytes.toString('utf8'), { maxDepth: MAX_DEPTH }) as Readonly<Record<string, unknown>>
    } catch (error) {
      if (error instanceof JsonError && error.code === 'duplicate_member')
        return this.#report('duplicate_member', error.message)
      return this.#report('malformed_json')
    }
    this.#options.onObject(object)
  }

  #refuse(code: JsonObjectError['code']) {
    this.#report(code)
    this.#mode = 'skipping'
    this.#text = ''
    this.#skipDepth = this.#open.filter((kind) => kind === 'object').length
  }

  #report(code: JsonObjectError['code'], message?: string) {
    const messages = {
      malformed_json: 'The object is not valid JSON.',
      duplicate_member: 'A member occurs twice. Send it only once.',
      not_an_object: NOT_AN_OBJECT,
      object_too_large: `The object is larger than ${this.#maxBytes} bytes.`,
      object_too_deep: `The object nests deeper than ${MAX_DEPTH} levels.`,
      object_cut: 'The input ended inside an object.',
    }
    this.#options.onError(new JsonObjectError(code, message ?? messages[code]))
  }

  /** Skips an invalid object. Returns whether this character can start the next one. */
  #skip(code: number): boolean {
    if (code === OPEN_OBJECT && this.#previous === LF) {
      this.#mode = 'between'
      return true
    }
    if (code === LF) this.#inString = this.#escaped = false
    else if (this.#escaped) this.#escaped = false
    else if (this.#inString && code === BACKSLASH) this.#escaped = true
    else if (code === QUOTE) this.#inString = !this.#inString
    else if (!this.#inString && code === OPEN_OBJECT) this.#skipDepth += 1
    else if (!this.#inString && code === CLOSE_OBJECT) {
      this.#skipDepth -= 1
      if (this.#skipDepth === 0) this.#mode = 'between'
    }
    return false
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: strings must not contain them (RFC 8259 §7)
const NOTABLE_IN_STRING = /["\\\x00-\x1f]/g

function nextInString(text: string, from: number): number {
  NOTABLE_IN_STRING.lastIndex = from
  return NOTABLE_IN_STRING.exec(text)?.index ?? text.length
}

const isSpace = (code: number) => code === SPACE || code === LF || code === CR || code === TAB

/** Characters of numbers, true, false and null; the JSON reader validates them once the object is complete. */
const isScalar = (code: number) =>
  (code >= 0x30 && code <= 0x39) || // 0-9
  (code >= 0x61 && code <= 0x7a) || // a-z
  code === 0x2d || // -
  code === 0x2b || // +
  code === 0x2e || // .
  code === 0x45 // E
