import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { joseSignature } from './ecdsa-signature.ts'

it('converts signatures of every length to R and S that verify as a JWS', () => {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const lengths = new Set<number>()
  // One signature in 128 has an R or S of 31 bytes.
  for (let index = 0; lengths.size < 4; index += 1) {
    const message = Buffer.from(`message ${index}`)
    const der = sign('sha256', message, key)
    lengths.add(der.length)
    const signature = joseSignature(der)
    expect(signature).toHaveLength(64)
    expect(verifiesAsJws(message, signature)).toBe(true)
  }

  function verifiesAsJws(message: Buffer, signature: Buffer) {
    return verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
  }
})

it.each([
  ['nothing', ''],
  ['another tag', '3106020101020101'],
  ['a negative R', '3006020180020101'],
  ['a zero S', '3006020101020100'],
  ['an R with a superfluous zero', '300702020001020101'],
  ['an R of 33 bytes', `3026022101${'00'.repeat(32)}020101`],
  ['a length in long form', '308106020101020101'],
  ['an indefinite length', '30800201010201010000'],
  ['a third integer', '3009020101020101020101'],
  ['bytes after the end', '300602010102010100'],
])('rejects %s', (_what, hex) => {
  expect(() => joseSignature(Buffer.from(hex, 'hex'))).toThrow(
    /^The signature is not an ECDSA signature in DER \(.+\)\.$/,
  )
})
