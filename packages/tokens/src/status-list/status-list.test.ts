import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from '@jest/globals'
import { StatusList as OtherStatusList } from '@sd-jwt/jwt-status-list'
import { STATUS_BITS, StatusList, StatusListError } from './status-list.ts'

/** The examples of Token Status List §4.1 and §4.2: statuses, and the claim of their list. */
const EXAMPLES = [
  {
    statuses: [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1],
    claim: { bits: 1, lst: 'eNrbuRgAAhcBXQ' },
  },
  { statuses: [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3], claim: { bits: 2, lst: 'eNo76fITAAPfAgc' } },
] as const

const all = (list: StatusList) => Array.from({ length: list.size }, (_, index) => list.get(index))

describe('a status list', () => {
  it.each(EXAMPLES)('has the form of the standard ($claim.bits bits)', ({ statuses, claim }) => {
    const list = StatusList.ofSize(statuses.length, claim.bits)
    for (const [index, status] of statuses.entries()) list.set(index, status)
    expect(list.encode()).toEqual(claim)
    expect(all(StatusList.decode(claim))).toEqual(statuses)
  })

  it.each(STATUS_BITS)('keeps every status in %d bits, also when it is changed back', (bits) => {
    const list = StatusList.ofSize(100, bits)
    const statuses = Array.from({ length: list.size }, (_, index) => (index * 7) % 2 ** bits)
    for (const status of [2 ** bits - 1, 0])
      for (let index = 0; index < list.size; index += 1) list.set(index, status)
    for (const [index, status] of statuses.entries()) list.set(index, status)
    expect(all(list)).toEqual(statuses)
    expect(all(StatusList.decode(list.encode()))).toEqual(statuses)
  })

  it.each(STATUS_BITS)('is read by @sd-jwt/jwt-status-list, and reads its lists (%d bits)', (bits) => {
    const statuses = Array.from({ length: 1_000 }, (_, index) => (index * index) % 2 ** bits)
    const ours = StatusList.ofSize(1_000, bits)
    for (const [index, status] of statuses.entries()) ours.set(index, status)
    const { lst } = ours.encode()
    const theirs = OtherStatusList.decompressStatusList(lst, bits)
    expect(statuses.map((_, index) => theirs.getStatus(index))).toEqual(statuses)
    const read = StatusList.decode({ bits, lst: new OtherStatusList(statuses, bits).compressStatusList() })
    expect(statuses.map((_, index) => read.get(index))).toEqual(statuses)
  })

  it('has no other indexes, and no room for other statuses', () => {
    const list = StatusList.ofSize(16, 2)
    for (const index of [-1, 16, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '0' as never])
      expect(list.get(index)).toBeUndefined()
    expect(() => list.set(16, 1)).toThrow(new RangeError('The status list has no index 16.'))
    expect(() => list.set(0, 4)).toThrow(new RangeError('The status 4 does not fit into 2 bits.'))
  })

  const MALFORMED = 'The lst of a status list must be compressed with DEFLATE in the ZLIB format.'
  const TOO_LARGE = 'A status list must have at most 1048576 bytes.'
  const lst = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  const zlib = deflateSync(new Uint8Array(100))

  it.each<[string, unknown, string]>([
    ['is not an object', 'eNrbuRgAAhcBXQ', 'The bits of a status list must be 1, 2, 4 or 8.'],
    ['has 3 bits', { bits: 3, lst: 'eNrbuRgAAhcBXQ' }, 'The bits of a status list must be 1, 2, 4 or 8.'],
    [
      'has bits as a string',
      { bits: '1', lst: 'eNrbuRgAAhcBXQ' },
      'The bits of a status list must be 1, 2, 4 or 8.',
    ],
    ['has no lst', { bits: 1 }, 'The lst of a status list must be base64url.'],
    ['has padding', { bits: 1, lst: 'eNrbuRgAAhcBXQ==' }, 'The lst of a status list must be base64url.'],
    ['is empty', { bits: 1, lst: '' }, MALFORMED],
    ['is raw DEFLATE', { bits: 1, lst: lst(deflateRawSync(new Uint8Array(100))) }, MALFORMED],
    ['is gzip', { bits: 1, lst: lst(gzipSync(new Uint8Array(100))) }, MALFORMED],
    ['is cut off', { bits: 1, lst: lst(zlib.subarray(0, -1)) }, MALFORMED],
    [
      'has a wrong checksum',
      { bits: 1, lst: lst(Buffer.concat([zlib.subarray(0, -1), Buffer.of(7)])) },
      MALFORMED,
    ],
    [
      'has bytes after its end',
      { bits: 1, lst: lst(Buffer.concat([zlib, Buffer.of(0)])) },
      'The lst of a status list must end with its compressed data.',
    ],
    ['is one byte too large', { bits: 8, lst: lst(deflateSync(new Uint8Array(1024 * 1024 + 1))) }, TOO_LARGE],
    ['is a zip bomb', { bits: 1, lst: lst(deflateSync(new Uint8Array(256 * 1024 * 1024))) }, TOO_LARGE],
  ])('AL-29 is rejected if it %s', (_, claim, message) => {
    expect(() => StatusList.decode(claim)).toThrow(StatusListError)
    expect(() => StatusList.decode(claim)).toThrow(message)
  })

  it('can have a million bytes, and not more', () => {
    expect(StatusList.decode(StatusList.ofSize(2 ** 23, 1).encode()).size).toBe(2 ** 23)
    expect(() => StatusList.ofSize(2 ** 23 + 1, 1)).toThrow(TOO_LARGE)
    expect(() => StatusList.ofSize(1e15, 8)).toThrow(TOO_LARGE)
  })
})
