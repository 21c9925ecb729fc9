/**
 * The subset of the Protocol Buffers wire format that the Workload API needs, with a table of fields per message:
 * https://protobuf.dev/programming-guides/encoding/. Unknown fields are skipped, default values are not written.
 */

/** Protects the stack; the same limit as in the reference implementations. */
const MAX_DEPTH = 100

const VARINT = 0
const FIXED64 = 1
const LENGTH_DELIMITED = 2
const FIXED32 = 5

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reports bytes that are not a valid message. */
export class ProtobufError extends Error {
  readonly code = 'malformed_message'

  constructor(message: string) {
    super(message)
    this.name = 'ProtobufError'
  }
}

export interface Codec<T> {
  encode(message: T): Buffer
  /** @throws ProtobufError */
  decode(bytes: Uint8Array): T
}

class Reader {
  readonly #bytes: Buffer
  readonly depth: number
  #offset = 0

  constructor(bytes: Uint8Array, depth: number) {
    if (depth > MAX_DEPTH) throw new ProtobufError(`messages are nested deeper than ${MAX_DEPTH} levels`)
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.depth = depth
  }

  get done(): boolean {
    return this.#offset >= this.#bytes.length
  }

  /** Reads a varint as a number, losing precision above 2^53: no field of these messages needs more. */
  varint(): number {
    let value = 0
    for (let index = 0; index < 10; index++) {
      const byte = this.#bytes[this.#offset++]
      if (byte === undefined) throw new ProtobufError('a number is truncated')
      value += (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) return value
    }
    throw new ProtobufError('a number has more than 64 bits')
  }

  take(length: number): Buffer {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw new ProtobufError('a field is truncated')
    const taken = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return taken
  }

  bytes(): Buffer {
    return this.take(this.varint())
  }

  nested(): Reader {
    return new Reader(this.bytes(), this.depth + 1)
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint()
    else if (wireType === FIXED64) this.take(8)
    else if (wireType === LENGTH_DELIMITED) this.bytes()
    else if (wireType === FIXED32) this.take(4)
    else throw new ProtobufError(`unknown wire type ${wireType}`)
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

const tag = (number: number, wireType: number) => varint(number * 8 + wireType)

const delimited = (number: number, content: Uint8Array): Buffer[] => [
  tag(number, LENGTH_DELIMITED),
  varint(content.length),
  content as Buffer,
]

/** A field of a message: its number, its default value, and how it is written and read. */
export interface Field<T> {
  readonly number: number
  readonly wireType: number
  absent(): T
  write(value: T): Buffer[]
  /** Reads one occurrence; `before` is the value of earlier occurrences. */
  read(reader: Reader, before: T): T
}

/** Encodes and decodes an element of a list or a value of a map. */
interface Element<T> {
  toBytes(value: T): Uint8Array
  fromReader(reader: Reader): T
}

const stringElement: Element<string> = {
  toBytes: (value) => Buffer.from(value, 'utf8'),
  fromReader(reader) {
    try {
      return utf8.decode(reader.bytes())
    } catch (error) {
      if (error instanceof ProtobufError) throw error
      throw new ProtobufError('a string is not UTF-8')
    }
  },
}

const bytesElement: Element<Uint8Array> = {
  toBytes: (value) => value,
  // A copy, so that a small value does not keep a large network buffer alive.
  fromReader: (reader) => Uint8Array.from(reader.bytes()),
}

/** A message type: a codec that can also be nested in another message. */
export interface MessageType<T> extends Codec<T>, Element<T> {
  readonly decodeFrom: (reader: Reader) => T
}

export function string(number: number): Field<string> {
  return {
    number,
    wireType: LENGTH_DELIMITED,
    absent: () => '',
    write: (value) => (value === '' ? [] : delimited(number, stringElement.toBytes(value))),
    read: (reader) => stringElement.fromReader(reader),
  }
}

export function bytes(number: number): Field<Uint8Array> {
  return {
    number,
    wireType: LENGTH_DELIMITED,
    absent: () => new Uint8Array(),
    write: (value) => (value.length === 0 ? [] : delimited(number, value)),
    read: (reader) => bytesElement.fromReader(reader),
  }
}

function repeated<T>(number: number, element: Element<T>): Field<readonly T[]> {
  return {
    number,
    wireType: LENGTH_DELIMITED,
    absent: () => [],
    write: (values) => values.flatMap((value) => delimited(number, element.toBytes(value))),
    read: (reader, before) => [...before, element.fromReader(reader)],
  }
}

export const strings = (number: number) => repeated(number, stringElement)
export const byteStrings = (number: number) => repeated(number, bytesElement)
export const messages = <T>(number: number, type: Element<T>) => repeated(number, type)

/** An optional nested message. */
export function optional<T>(number: number, type: () => Element<T>): Field<T | undefined> {
  return {
    number,
    wireType: LENGTH_DELIMITED,
    absent: () => undefined,
    write: (value) => (value === undefined ? [] : delimited(number, type().toBytes(value))),
    read: (reader) => type().fromReader(reader),
  }
}

/** A map, encoded as a list of messages `{ key = 1, value = 2 }`; for duplicate keys, the last one wins. */
function mapOf<T>(number: number, element: () => Element<T>, absentValue: T): Field<ReadonlyMap<string, T>> {
  return {
    number,
    wireType: LENGTH_DELIMITED,
    absent: () => new Map(),
    write: (map) =>
      [...map].flatMap(([key, value]) =>
        delimited(
          number,
          Buffer.concat([
            ...delimited(1, stringElement.toBytes(key)),
            ...delimited(2, element().toBytes(value)),
          ]),
        ),
      ),
    read(reader, before) {
      const entry = reader.nested()
      let key = ''
      let value = absentValue
      while (!entry.done) {
        const header = entry.varint()
        if (header === 8 + LENGTH_DELIMITED) key = stringElement.fromReader(entry)
        else if (header === 16 + LENGTH_DELIMITED) value = element().fromReader(entry)
        else entry.skip(header % 8)
      }
      return new Map(before).set(key, value)
    },
  }
}

export const stringMap = (number: number) => mapOf(number, () => stringElement, '')
export const bytesMap = (number: number) => mapOf(number, () => bytesElement, new Uint8Array())
export const messageMap = <T>(number: number, type: () => Element<T>, absentValue: T) =>
  mapOf(number, type, absentValue)

/** A `oneof` member: undefined if absent; its default value is written. */
export function oneOfNumber(number: number): Field<number | undefined> {
  return {
    number,
    wireType: FIXED64,
    absent: () => undefined,
    write(value) {
      if (value === undefined) return []
      const double = Buffer.alloc(8)
      double.writeDoubleLE(value)
      return [tag(number, FIXED64), double]
    },
    read: (reader) => reader.take(8).readDoubleLE(),
  }
}

export function oneOfVarint(number: number): Field<number | undefined> {
  return {
    number,
    wireType: VARINT,
    absent: () => undefined,
    write: (value) => (value === undefined ? [] : [tag(number, VARINT), varint(value)]),
    read: (reader) => reader.varint(),
  }
}

export function oneOfString(number: number): Field<string | undefined> {
  return optional(number, () => stringElement)
}

type Fields = Readonly<Record<string, Field<never>>>
type ValueOf<F> = F extends { absent(): infer T } ? T : never

/** Derives the TypeScript type of a message from its table of fields. */
export type MessageOf<F> = { readonly [Name in keyof F]: ValueOf<F[Name]> }

/** Makes the codec of a message from its table of fields. */
export function message<F extends Record<string, unknown>>(table: F): MessageType<MessageOf<F>> {
  const fields = Object.entries(table as unknown as Fields) as unknown as [string, Field<unknown>][]
  const byNumber = new Map(fields.map(([name, field]) => [field.number, [name, field] as const]))

  function encode(value: MessageOf<F>): Buffer {
    const record = value as Record<string, unknown>
    return Buffer.concat(fields.flatMap(([name, field]) => field.write(record[name])))
  }

  function decodeFrom(reader: Reader): MessageOf<F> {
    const record = Object.fromEntries(fields.map(([name, field]) => [name, field.absent()]))
    while (!reader.done) {
      const header = reader.varint()
      const number = Math.floor(header / 8)
      const wireType = header % 8
      if (number === 0) throw new ProtobufError('field number 0 is invalid')
      const known = byNumber.get(number)
      if (!known || known[1].wireType !== wireType) reader.skip(wireType)
      else record[known[0]] = known[1].read(reader, record[known[0]])
    }
    return record as MessageOf<F>
  }

  return {
    encode,
    decode: (bytes) => decodeFrom(new Reader(bytes, 0)),
    decodeFrom,
    toBytes: encode,
    fromReader: (reader) => decodeFrom(reader.nested()),
  }
}
