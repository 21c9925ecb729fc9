import { describe, expect, it } from '@jest/globals'
import {
  jwtSvidRequest,
  jwtSvidResponse,
  validateJwtSvidResponse,
  witBundlesResponse,
  x509SvidRequest,
  x509SvidResponse,
} from './messages.ts'
import { struct } from './struct.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('the messages on the wire', () => {
  it('are the bytes that protoc makes', () => {
    // `protoc --encode=JWTSVIDRequest`: audience "a", audience "b", spiffe_id "spiffe://t/x".
    const bytes = hex('0a0161 0a0162 120c 7370696666653a2f2f742f78')
    expect(jwtSvidRequest.encode({ audience: ['a', 'b'], spiffeId: 'spiffe://t/x' })).toEqual(bytes)
    expect(jwtSvidRequest.decode(bytes)).toEqual({ audience: ['a', 'b'], spiffeId: 'spiffe://t/x' })
  })

  it('survive a round trip', () => {
    const response = {
      svids: [
        {
          spiffeId: 'spiffe://t/ü',
          x509Svid: new Uint8Array(300).fill(1),
          x509SvidKey: Uint8Array.of(0),
          bundle: Uint8Array.of(255),
          hint: 'internal',
        },
      ],
      crl: [Uint8Array.of(1, 2), new Uint8Array()],
      federatedBundles: new Map([
        ['spiffe://a', Uint8Array.of(1)],
        ['', new Uint8Array()],
      ]),
    }
    expect(x509SvidResponse.decode(x509SvidResponse.encode(response))).toEqual(response)
  })

  it('omit default values, and restore them if they are absent', () => {
    expect(x509SvidResponse.encode({ svids: [], crl: [], federatedBundles: new Map() })).toHaveLength(0)
    expect(jwtSvidResponse.decode(hex('0a00'))).toEqual({ svids: [{ spiffeId: '', svid: '', hint: '' }] })
  })

  it('skip unknown fields of every wire type', () => {
    const unknown = '7801 7900000000000000ff 7a03010203 7d00000001 9206 02ffff'
    expect(jwtSvidRequest.decode(hex(`0a0161 ${unknown} 0a0162`)).audience).toEqual(['a', 'b'])
    expect(x509SvidRequest.decode(hex(unknown))).toEqual({})
    // A known number with another wire type is also unknown.
    expect(jwtSvidRequest.decode(hex('0801 0a0161')).audience).toEqual(['a'])
  })

  it('use the last value of a duplicate field or map key', () => {
    expect(jwtSvidRequest.decode(hex('120161 120162')).spiffeId).toBe('b')
    expect(witBundlesResponse.decode(hex('0a060a0161120131 0a060a0161120132')).bundles).toEqual(
      new Map([['a', '2']]),
    )
  })

  it.each([
    ['0a', 'a number is truncated'],
    ['0a05 61', 'a field is truncated'],
    ['ffffffffffffffffffffff', 'a number has more than 64 bits'],
    ['00 00', 'field number 0 is invalid'],
    ['0b', 'unknown wire type 3'],
    ['0a02c328', 'a string is not UTF-8'],
  ])('reject %s', (bytes, message) => {
    expect(() => jwtSvidRequest.decode(hex(bytes))).toThrow(
      expect.objectContaining({ name: 'ProtobufError', code: 'malformed_message', message }),
    )
  })

  it('never read past their end or crash on any bytes', () => {
    let seed = 1
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed
    }
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(Array.from({ length: random() % 40 }, () => random() % 256))
      try {
        x509SvidResponse.decode(bytes)
        validateJwtSvidResponse.decode(bytes)
      } catch (error) {
        expect(error).toMatchObject({ code: 'malformed_message' })
      }
    }
  })
})

describe('google.protobuf.Struct', () => {
  it('survives a round trip as JSON', () => {
    const claims = {
      sub: 'spiffe://t/x',
      aud: ['a', 'b'],
      exp: 1_790_000_000,
      half: 0.5,
      no: false,
      yes: true,
      nothing: null,
      empty: {},
      list: [],
      deep: { of: [{ the: 'same' }, null, -1] },
      '': '',
    }
    expect(struct.decode(struct.encode(claims))).toEqual(claims)
    const response = { spiffeId: 'spiffe://t/x', claims }
    expect(validateJwtSvidResponse.decode(validateJwtSvidResponse.encode(response))).toEqual(response)
    expect(validateJwtSvidResponse.decode(hex('0a0161')).claims).toBeUndefined()
  })

  it('is the bytes that protoc makes', () => {
    // { "a": 1 }: fields { key "a", value { number_value 1 } }
    expect(struct.encode({ a: 1 })).toEqual(hex('0a0e 0a0161 1209 11000000000000f03f'))
  })

  it('limits nesting', () => {
    let nested: unknown = 'x'
    for (let level = 0; level < 60; level++) nested = { x: nested }
    expect(() => struct.decode(struct.encode(nested as never))).toThrow(
      'messages are nested deeper than 100 levels',
    )
  })
})
