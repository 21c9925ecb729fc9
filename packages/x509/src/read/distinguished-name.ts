import { isUtf8 } from 'node:buffer'
import { DerError, DerReader, type Element, inside, readObjectIdentifier, TAG } from '../der/index.ts'

/**
 * A distinguished name in a form that can be compared: equal names are equal strings, whether they were read from a
 * certificate or from text. Values are compared exactly, including case and white space.
 */
export type DistinguishedName = string & { readonly distinguishedName: unique symbol }

/** The attribute types that have a short name (RFC 4514 §3), and two more that certificates often contain. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['CN', '2.5.4.3'],
  ['L', '2.5.4.7'],
  ['ST', '2.5.4.8'],
  ['O', '2.5.4.10'],
  ['OU', '2.5.4.11'],
  ['C', '2.5.4.6'],
  ['STREET', '2.5.4.9'],
  ['DC', '0.9.2342.19200300.100.1.25'],
  ['UID', '0.9.2342.19200300.100.1.1'],
  ['SERIALNUMBER', '2.5.4.5'],
  ['EMAILADDRESS', '1.2.840.113549.1.9.1'],
])
/** NumericString and IA5String; TAG has the other two. */
const STRINGS: ReadonlySet<number> = new Set([TAG.utf8String, TAG.printableString, 0x12, 0x16])

/** An attribute's type as an OID, and its value: `=` and the text of a string, or `#` and the DER of anything else. */
type Attribute = readonly [type: string, value: string]

/** Reads a name from the DER of a certificate. @throws {DerError} */
export function readDistinguishedName(der: Buffer): DistinguishedName {
  const outer = new DerReader(der)
  const sequence = inside(outer.expect(TAG.sequence))
  outer.end()
  const rdns: Attribute[][] = []
  while (!sequence.done) {
    const set = inside(sequence.expect(TAG.set))
    const rdn: Attribute[] = []
    while (!set.done) {
      const attribute = inside(set.expect(TAG.sequence))
      rdn.push([
        readObjectIdentifier(attribute.expect(TAG.objectIdentifier)),
        attributeValue(attribute.next()),
      ])
      attribute.end()
    }
    rdns.push(rdn)
  }
  return comparable(rdns)
}

/** One character of a value: escaped as a special character, escaped as a byte, or plain. */
const CHARACTER = /\\([ "#+,;<=>\\])|\\([0-9a-f]{2})|([^\\"+,;<>\0])/iuy
const TYPE = / *([a-z][a-z0-9-]*|\d+(?:\.\d+)+) *= */iy
const BINARY = /#((?:[0-9a-f]{2})+)/iy
const SEPARATOR = / *(,|\+|$)/y

/**
 * Parses a name from text, e.g. `CN=servicea,O=Example` (RFC 4514): the most specific part comes first, unlike in the
 * certificate.
 * @throws {TypeError} if the text is not a distinguished name
 */
export function parseDistinguishedName(text: string): DistinguishedName {
  let at = 0
  const read = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(text) ?? undefined
    if (match) at = pattern.lastIndex
    return match
  }
  const rdns: Attribute[][] = [[]]
  for (;;) {
    const name = read(TYPE)?.[1]
    const type = name && (TYPES.get(name.toUpperCase()) ?? (/^\d/.test(name) ? name : undefined))
    if (!type) throw new TypeError(`expected an attribute such as CN=, OU= or O= at character ${at}`)
    const binary = read(BINARY)?.[1]
    const value = binary === undefined ? `=${readText(read)}` : binaryValue(binary)
    ;(rdns.at(-1) as Attribute[]).push([type, value])
    const separator = read(SEPARATOR)?.[1]
    if (separator === undefined) throw new TypeError(`unexpected character at ${at}`)
    if (separator === '') return comparable(rdns.reverse())
    if (separator === ',') rdns.push([])
  }
}

function readText(read: (pattern: RegExp) => RegExpExecArray | undefined): string {
  const bytes: Buffer[] = []
  let length = 0
  for (let match = read(CHARACTER); match; match = read(CHARACTER)) {
    const [, special, byte, plain] = match
    bytes.push(byte === undefined ? Buffer.from(special ?? plain ?? '') : Buffer.from(byte, 'hex'))
    // White space at the end belongs to the value only if it is escaped (RFC 4514 §2.4).
    if (plain !== ' ') length = bytes.length
  }
  const value = Buffer.concat(bytes.slice(0, length))
  if (!isUtf8(value)) throw new TypeError('an escaped value is not UTF-8')
  return value.toString()
}

function binaryValue(hex: string): string {
  try {
    const reader = new DerReader(Buffer.from(hex, 'hex'))
    const element = reader.next()
    reader.end()
    return attributeValue(element)
  } catch (cause) {
    throw new TypeError('a value after # is not DER', { cause })
  }
}

function attributeValue({ tag, content, raw }: Element): string {
  if (!STRINGS.has(tag)) return `#${raw.toString('hex')}`
  if (!isUtf8(content)) throw new DerError('a string in a name is not UTF-8')
  return `=${content.toString()}`
}

/** The attributes of one RDN are a set, so their order does not count. */
const comparable = (rdns: readonly (readonly Attribute[])[]) =>
  JSON.stringify(rdns.map((rdn) => rdn.map((attribute) => attribute.join('')).sort())) as DistinguishedName
