import { describe, expect, it } from '@jest/globals'
import { escapeForTerminal, escapeJsonForTerminal } from './terminal-text.ts'

describe('escapeForTerminal', () => {
  it.each([
    ['a color', '\u001b[32mverified\u001b[0m', '\\u001b[32mverified\\u001b[0m'],
    ['a title, by OSC', '\u001b]0;owned\u0007', '\\u001b]0;owned\\u0007'],
    ['a clipboard write, by the C1 form of OSC', '\u009d52;c;eA==\u009c', '\\u009d52;c;eA==\\u009c'],
    ['a forged line', 'x\nsignature: verified', 'x\\nsignature: verified'],
    ['an overwritten line', 'x\rsignature: verified', 'x\\rsignature: verified'],
    ['backspace, tab, NUL, DEL', '\b\t\0\u007f', '\\u0008\\t\\u0000\\u007f'],
    ['next line, and the separators of Unicode', '\u0085\u2028\u2029', '\\u0085\\u2028\\u2029'],
    [
      'bidirectional overrides',
      '\u202eadmin\u202c\u2066\u2069\u200f\u061c',
      '\\u202eadmin\\u202c\\u2066\\u2069\\u200f\\u061c',
    ],
    ['zero-width characters', 'ad\u200bm\u200din\u2060\ufeff', 'ad\\u200bm\\u200din\\u2060\\ufeff'],
    ['invisible fillers', '\u3164\u115f\u00ad', '\\u3164\\u115f\\u00ad'],
    ['invisible tags', '\u{e0041}', '\\u{e0041}'],
    ['half a character', '\ud800', '\\ud800'],
  ])('escapes %s', (_what, text, shown) => {
    expect(escapeForTerminal(text)).toBe(shown)
  })

  it.each(['plain', 'Grüße, 世界', 'שלום', '😀 ❤️', 'C:\\path', ''])('keeps %j', (text) => {
    expect(escapeForTerminal(text)).toBe(text)
  })
})

describe('escapeJsonForTerminal', () => {
  it('keeps the value and the line breaks between values', () => {
    const value = { 'a\u009b': '\u202e\u{e0041}\ud800', b: ['\u001b', 'ü'] }
    const shown = escapeJsonForTerminal(JSON.stringify(value, null, 2))
    expect(JSON.parse(shown)).toEqual(value)
    expect(shown).toContain('\n  "a\\u009b": "\\u202e\\udb40\\udc41\\ud800"')
  })
})
