import { describe, expect, it } from '@jest/globals'
import { canonicalField, canonicalFieldOf, headerText, headerValue } from './canonical-field.ts'

describe('canonicalField', () => {
  it('leaves readable fields unchanged', () => {
    for (const text of ['', 'curl/7.86.0', 'Mozilla/5.0 (X11; Größe 漢字)', 'a:b%3A', 'x'.repeat(256)])
      expect(canonicalField(text)).toBe(text)
  })

  it.each([
    ['too long', 'x'.repeat(257)],
    ['with a tab', 'a\tb'],
    ['with a line break', 'a\nb'],
    ['with a zero-width space', 'a\u200bb'],
    ['with a no-break space', 'a\u00a0b'],
    ['that overrides the direction', 'a\u202eb'],
    ['decomposed', 'e\u0301'],
  ])('replaces a field %s by a digest of its own', (_what, text) => {
    expect(canonicalField(text)).toMatch(/^sha256=[\w-]{43}$/)
    expect(canonicalField(text)).not.toBe(canonicalField(`${text} `))
  })

  it('hashes a field that looks like a digest, so that it cannot imitate a long field', () => {
    const digest = canonicalField('x'.repeat(300))
    expect(canonicalField(digest)).not.toBe(digest)
    expect(canonicalField(digest)).toMatch(/^sha256=/)
    expect(canonicalField('sha256=')).toMatch(/^sha256=[\w-]{43}$/)
  })

  it('accepts an operator’s input in both forms', () => {
    const long = 'x'.repeat(300)
    expect(canonicalFieldOf(long)).toBe(canonicalField(long))
    expect(canonicalFieldOf(canonicalField(long))).toBe(canonicalField(long))
  })
})

describe('headerText', () => {
  it('decodes UTF-8 and Latin-1, and headerValue encodes it again', () => {
    const asSent = Buffer.from('Größe', 'utf8').toString('latin1')
    expect(headerText(asSent)).toBe('Größe')
    expect(headerText('Größe')).toBe('Größe')
    expect(headerValue('Größe')).toBe(asSent)
    expect(headerText('curl/7.86.0')).toBe('curl/7.86.0')
  })
})
