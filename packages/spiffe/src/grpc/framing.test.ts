import { describe, expect, it } from '@jest/globals'
import { Deframer, frame } from './framing.ts'
import {
  decodeStatusMessage,
  encodeStatusMessage,
  parseStatus,
  statusName,
  statusOfHttp,
  statusOfReset,
} from './status.ts'
import { formatTimeout, parseTimeout } from './timeout.ts'

describe('messages in chunks', () => {
  const messages = ['', 'a', 'b'.repeat(70_000)].map((text) => Buffer.from(text))
  const wire = Buffer.concat(messages.map(frame))

  it.each([1, 3, 5, 6, 1000, 1_000_000])('are assembled from chunks of %i bytes', (size) => {
    const deframer = new Deframer(100_000)
    const got: string[] = []
    for (let offset = 0; offset < wire.length; offset += size)
      got.push(...deframer.push(wire.subarray(offset, offset + size)).map(String))
    expect(got).toEqual(messages.map(String))
    expect(deframer.pending).toBe(false)
  })

  it('are rejected by their announced length, before they arrive', () => {
    const deframer = new Deframer(100)
    expect(() => deframer.push(Buffer.from([0, 0, 0, 0, 101]))).toThrow(
      expect.objectContaining({ code: 8, details: 'received message larger than max (101 vs. 100)' }),
    )
  })

  it('are rejected if they are compressed', () => {
    const compressed = Buffer.from([1, 0, 0, 0, 0])
    expect(() => new Deframer(100).push(compressed)).toThrow(expect.objectContaining({ code: 13 }))
    expect(() => new Deframer(100).push(compressed, 'gzip')).toThrow(
      expect.objectContaining({ code: 12, details: 'grpc-encoding "gzip" is not supported' }),
    )
  })
})

describe('statuses', () => {
  it('are encoded as the protocol requires and parsed leniently', () => {
    expect(encodeStatusMessage('100 % ü\n')).toBe('100 %25 %C3%BC%0A')
    for (const text of ['100 % ü\n', '', 'a"b', '🎟'])
      expect(decodeStatusMessage(encodeStatusMessage(text))).toBe(text)
    expect(decodeStatusMessage('100% %zz %4')).toBe('100% %zz %4')
    expect(statusName(7)).toBe('PermissionDenied')
    expect(statusName(42)).toBe('Code(42)')
    expect(['0', '7', '17', '-1', 'x', ''].map(parseStatus)).toEqual([0, 7, 2, 2, 2, 2])
  })

  it('are derived from HTTP statuses', () => {
    expect([400, 401, 403, 404, 429, 502, 503, 504, 500, 302].map(statusOfHttp)).toEqual([
      13, 16, 7, 12, 14, 14, 14, 14, 2, 2,
    ])
    // REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, INTERNAL_ERROR
    expect([7, 8, 11, 12, 2].map(statusOfReset)).toEqual([14, 1, 8, 7, 13])
  })
})

describe('timeouts', () => {
  it('are formatted in milliseconds, or in seconds if they are long', () => {
    expect([0, 0.4, 1500, 1e8, 1e12].map(formatTimeout)).toEqual([
      '1m',
      '1m',
      '1500m',
      '100000S',
      '99999999S',
    ])
  })

  it('are parsed in every valid unit, and no other', () => {
    expect(['1H', '1M', '1S', '1m', '1u', '1n'].map(parseTimeout)).toEqual([
      3_600_000, 60_000, 1000, 1, 1e-3, 1e-6,
    ])
    for (const wrong of ['', '1', 'm', '123456789m', '1x', '-1m', '1.5S'])
      expect(() => parseTimeout(wrong)).toThrow('malformed grpc-timeout')
  })
})
