import { describe, expect, it } from '@jest/globals'
import { createLog } from '../observation/log.ts'
import { issuerKeys } from './issuer-keys.ts'
import { UnusableKeys } from './unusable-keys.ts'

const ISSUER = 'https://login.example.com/'
const ed448 = { index: 1, reason: 'unsupported_algorithm', message: 'No supported algorithm uses Ed448.' }
const weak = { index: 2, kid: 'old', reason: 'weak_key', message: 'An RSA key must have 2048 bits.' }
const encryption = { index: 3, reason: 'other_purpose', message: 'Its use is "enc", not sig.' }

function keysWithLog() {
  const lines: { level: number; keysOf: string; leftOut?: string }[] = []
  const log = createLog('test', 'info', { write: (line) => void lines.push(JSON.parse(line)) })
  const keys = new UnusableKeys(log)
  return { keys, lines, warning: () => keys.warnings['published keys']?.() }
}

describe('keys that are left out of a published set', () => {
  it('are logged once, again when they change, and shown until all can be used', () => {
    const { keys, lines, warning } = keysWithLog()
    const tell = keys.of(ISSUER)
    expect(warning()).toBeUndefined()
    tell([ed448])
    tell([ed448])
    keys.of(ISSUER)([ed448])
    expect(lines).toMatchObject([
      { level: 40, keysOf: ISSUER, leftOut: 'key 2: No supported algorithm uses Ed448.' },
    ])
    tell([ed448, weak])
    expect(lines).toHaveLength(2)
    const both = 'key 2: No supported algorithm uses Ed448; key 3 ("old"): An RSA key must have 2048 bits.'
    expect(lines[1]).toMatchObject({ leftOut: both })
    expect(warning()).toBe(`Keys of ${ISSUER} are left out: ${both}`)
    tell([])
    expect(lines).toHaveLength(3)
    expect(lines[2]).toMatchObject({ level: 30, keysOf: ISSUER })
    expect(warning()).toBeUndefined()
  })

  it('are no fault of the issuer if they are for another purpose', () => {
    const { keys, lines, warning } = keysWithLog()
    keys.of(ISSUER)([encryption])
    keys.of(ISSUER)([])
    expect([lines, warning()]).toEqual([[], undefined])
  })

  it('are named with what cannot be loaded, once until it is', () => {
    const { keys, lines, warning } = keysWithLog()
    const { onFailure } = issuerKeys({ issuer: ISSUER, unusable: keys })
    onFailure?.(undefined)
    expect(lines).toEqual([])
    for (let n = 0; n < 3; n += 1) onFailure?.(new Error('issuer answered 500: GET /jwks'))
    expect(lines).toMatchObject([{ level: 40, keysOf: ISSUER, reason: 'issuer answered 500: GET /jwks' }])
    expect(warning()).toBe(`Keys of ${ISSUER} cannot be loaded: issuer answered 500: GET /jwks`)
    onFailure?.(undefined)
    expect(lines).toMatchObject([{}, { level: 30, keysOf: ISSUER }])
    expect(warning()).toBeUndefined()
  })

  it('are described up to five', () => {
    const { keys, warning } = keysWithLog()
    keys.of(ISSUER)(Array.from({ length: 7 }, (_, index) => ({ ...weak, index, message: 'Weak.' })))
    expect(warning()).toMatch(/key 5 \("old"\): Weak; and 2 more\.$/)
  })

  it('are told with their source', () => {
    const { keys, warning } = keysWithLog()
    issuerKeys({ issuer: ISSUER, unusable: keys }).onUnusable?.([weak])
    issuerKeys({ issuer: ISSUER, jwksUrl: 'https://keys.example.com/', unusable: keys }).onUnusable?.([ed448])
    issuerKeys({ issuer: 'ci', jwksFile: 'ci.json', unusable: keys }).onUnusable?.([ed448])
    const text = warning()
    expect(text).toContain(`Keys of ${ISSUER} are left out: key 3 ("old")`)
    expect(text).toContain(`Keys of ${ISSUER} (https://keys.example.com/) are left out: key 2`)
    expect(text).toContain('Keys of ci (ci.json) are left out: key 2')
  })
})
