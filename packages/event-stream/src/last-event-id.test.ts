import { describe, expect, it } from '@jest/globals'
import { asSentBack, canBeSentBack, fromHeaderValue, toHeaderValue } from './last-event-id.ts'

describe('an id in a Last-Event-ID header', () => {
  it.each(['7', '12-34', 'é 7', '\u00a0x', '€', '😀', '\ufeffx', 'a\tb'])('keeps %j', (id) => {
    expect([canBeSentBack(id), asSentBack(id), fromHeaderValue(toHeaderValue(id))]).toEqual([true, id, id])
  })

  it('is one Latin-1 character for each byte of its UTF-8', () => {
    expect(toHeaderValue('é')).toBe('\u00c3\u00a9')
  })

  it('is read as Latin-1 when it is not UTF-8, as fetch sends it', () => {
    expect(fromHeaderValue('\u00e9')).toBe('é')
  })

  it.each([' x', 'x ', '\tx\t', '  x \t'])('loses the outer spaces and tabs of %j', (id) => {
    expect(asSentBack(id)).toBe('x')
  })

  it.each(['a\u0000', '\u0001', 'a\nb', 'a\rb', '\u001b[31m', '\u007f'])('cannot carry %j', (id) => {
    expect(canBeSentBack(id)).toBe(false)
  })
})
