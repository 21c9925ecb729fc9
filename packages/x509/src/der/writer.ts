import { constructed, primitive, TAG } from './tags.ts'

/* The DER encodings (X.690) that certificates need. */

function encode(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, content) => sum + content.length, 0)
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(length)]), ...contents])
}

/** Encodes a length in the definite form with the fewest octets (X.690 §10.1). */
function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length]
  const octets: number[] = []
  for (let rest = length; rest > 0; rest >>>= 8) octets.unshift(rest & 0xff)
  return [0x80 | octets.length, ...octets]
}

export const sequence = (...members: readonly Uint8Array[]) => encode(TAG.sequence, ...members)
export const set = (...members: readonly Uint8Array[]) => encode(TAG.set, ...members)
export const octetString = (content: Uint8Array) => encode(TAG.octetString, content)
export const bitString = (content: Uint8Array, unusedBits = 0) =>
  encode(TAG.bitString, Buffer.from([unusedBits]), content)
export const printableString = (text: string) => encode(TAG.printableString, Buffer.from(text, 'latin1'))
export const utf8String = (text: string) => encode(TAG.utf8String, Buffer.from(text))
export const booleanTrue = () => encode(TAG.boolean, Buffer.from([0xff]))
/** Wraps a value in `[n] EXPLICIT`. */
export const explicit = (n: number, value: Uint8Array) => encode(constructed(n), value)
/** Encodes a primitive value with the tag `[n] IMPLICIT` instead of its own. */
export const implicit = (n: number, content: Uint8Array) => encode(primitive(n), content)

/** Encodes a positive number, given as big-endian octets. */
export function integer(octets: Uint8Array): Buffer {
  let start = 0
  while (start < octets.length - 1 && octets[start] === 0) start += 1
  const minimal = octets.subarray(start)
  const needsSignOctet = ((minimal[0] ?? 0) & 0x80) !== 0
  return encode(TAG.integer, ...(needsSignOctet ? [Buffer.from([0])] : []), minimal)
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...arcs] = dotted.split('.').map(Number)
  return encode(TAG.objectIdentifier, Buffer.from([first * 40 + second, ...arcs.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const octets = [arc & 0x7f]
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) octets.unshift(0x80 | (rest & 0x7f))
  return octets
}

/** Encodes a time as RFC 5280 §4.1.2.5 requires: UTCTime up to 2049, GeneralizedTime from 2050; whole seconds, UTC. */
export function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]|\..*$/g, '')
  return Number(digits.slice(0, 4)) < 2050
    ? encode(TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`))
    : encode(TAG.generalizedTime, Buffer.from(`${digits}Z`))
}
