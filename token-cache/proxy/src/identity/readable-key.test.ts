import { describe, expect, it } from '@jest/globals'
import { parseReadableKey, readableKey } from './readable-key.ts'

describe('readableKey', () => {
  it('is the documented form', () => {
    expect(readableKey(['user1', 'curl/7.86.0'])).toBe('user1:curl/7.86.0')
    expect(parseReadableKey('user1:curl/7.86.0', 2)).toEqual(['user1', 'curl/7.86.0'])
  })

  it('means one identity, with any characters in its fields', () => {
    const fields = ['a', 'a:b', '%', '%3A', '%253A', ':', '', 'Mozilla/5.0 (X11; rv:109.0)']
    const seen = new Map<string, string[]>()
    for (const one of fields)
      for (const two of fields)
        for (const three of fields) {
          const key = readableKey([one, two, three])
          expect(seen.get(key)).toBeUndefined()
          seen.set(key, [one, two, three])
          expect(parseReadableKey(key, 3)).toEqual([one, two, three])
        }
  })

  it('with fewer fields is the start of an identity, with the same escapes', () => {
    expect(parseReadableKey('user1', 2)).toEqual(['user1'])
    expect(parseReadableKey('a%3Ab', 2)).toEqual(['a:b'])
  })
})
