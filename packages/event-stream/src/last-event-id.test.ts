import { describe, expect, it } from '@jest/globals'
import { asSentBack, canBeSentBack, fromHeaderValue, toHeaderValue } from './last-event-id.ts'

describe('an ID in a Last-Event-ID header', () => {
  it.each(['7', '12-34', 'é 7', '\u00a0x', '€', '😀', '\ufeffx', 'a\tb'])('keeps %j', (id) => {
    expect([canBeSentBack(id), asSentBack(id), fromHeaderValue(toHeaderValue(id))]).toEqual([true, id, id])
  })

  it('has one Latin-1 character for each byte of its UTF-8 form', () => {
    expect(toHeaderValue('é')).toBe('\u00c3\u00a9')
  })

  it('is read as Latin-1 if it is not UTF-8, because fetch sends it that way', () => {
    expect(fromHeaderValue('\u00e9')).toBe('é')
  })

  it.each([' x', 'x ', '\tx\t', '  x \t'])('loses the leading and trailing spaces and tabs of %j', (id) => {
    expect(asSentBack(id)).toBe('x')
  })

  it.each(['a\u0000', '\u0001', 'a\nb', 'a\rb', '\u001b[31m', '\u007f'])('cannot contain %j', (id) => {
    expect(canBeSentBack(id)).toBe(false)
  })
})
