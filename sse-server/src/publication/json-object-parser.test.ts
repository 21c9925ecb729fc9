import { JsonNumber } from '@hallpass/untrusted/json'
import { describe, expect, it } from '@jest/globals'
import { JsonObjectParser } from './json-object-parser.ts'

/** Returns what the parser reports for these chunks: objects, and the codes of errors. */
function parse(chunks: readonly (string | Uint8Array)[], options: { maxBytes?: number } = {}) {
  const seen: unknown[] = []
  const parser = new JsonObjectParser({
    onObject: (object) => seen.push(object),
    onError: (error) => seen.push(error.code),
    ...options,
  })
  for (const chunk of chunks) parser.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  parser.end()
  return seen
}

const one = { data: 'one' }
const two = { data: 'two' }
const [ONE, TWO] = [JSON.stringify(one), JSON.stringify(two)]

const CASES: readonly [name: string, input: string, seen: readonly unknown[]][] = [
  ['one object on a line', `${ONE}\n`, [one]],
  ['one object without a line break', ONE, [one]],
  ['two lines', `${ONE}\n${TWO}\n`, [one, two]],
  ['lines that end in CRLF', `${ONE}\r\n${TWO}\r\n`, [one, two]],
  ['two objects without a separator', ONE + TWO, [one, two]],
  ['a JSON text sequence (RFC 7464)', `\x1e${ONE}\n\x1e${TWO}\n`, [one, two]],
  [
    'pretty-printed objects',
    `${JSON.stringify({ data: [one, {}, []] }, null, 2)}\n${TWO}`,
    [{ data: [one, {}, []] }, two],
  ],
  ['braces on separate lines', '{\n"data":\n[\n{\n"a":1\n}\n]\n}\n', [{ data: [{ a: 1 }] }]],
  [
    'braces, quotes and backslashes inside strings',
    '{"data":"}{\\"\\\\"}{"data":"\\u007d"}',
    [{ data: '}{"\\' }, { data: '}' }],
  ],
  ['a replacement pattern', '{"data":"$& $1 $$"}', [{ data: '$& $1 $$' }]],
  [
    'all kinds of values',
    '{"data":[-1.5E+3,true,false,null,""]}',
    [{ data: [new JsonNumber('-1.5E+3'), true, false, null, ''] }],
  ],
  ['multi-byte characters', '{"data":"é€😀"}', [{ data: 'é€😀' }]],
  ['a byte order mark', `\ufeff${ONE}`, [one]],
  ['empty lines', `\n\n  ${ONE}\n\n`, [one]],

  ['an invalid line before a valid one', `hello\n${ONE}\n`, ['not_an_object', one]],
  ['two invalid lines, each reported', `hello world\nagain\n${ONE}`, ['not_an_object', 'not_an_object', one]],
  ['an invalid object before a valid one on the same line', `{bad}${ONE}`, ['malformed_json', one]],
  [
    'an invalid object that contains an object, which is not published',
    `{bad ${ONE} }${TWO}`,
    ['malformed_json', two],
  ],
  ['a string that is not closed', `{"data":"oops\n${ONE}\n`, ['malformed_json', one]],
  ['an object that is not closed', `{"data":1\n${ONE}\n`, ['malformed_json', one]],
  ['a key without a value', `{"data"}${ONE}`, ['malformed_json', one]],
  ['an extra comma', `{"a":1,}${ONE}`, ['malformed_json', one]],
  ['brackets that do not match', `{"a":[1}\n${ONE}`, ['malformed_json', one]],
  ['an invalid number', `{"a":1.2.3}${ONE}`, ['malformed_json', one]],
  ['an invalid literal', `{"a":nul}${ONE}`, ['malformed_json', one]],
  ['a brace in a string of an invalid object', `{"a" "}" }${ONE}`, ['malformed_json', one]],
  [
    'an invalid pretty-printed object, whose inner objects are not published',
    '{\n  "a": bad?,\n  "b": {\n    "data": 1\n  }\n}\n{}',
    ['malformed_json', {}],
  ],
  [
    'an ID that a double cannot represent',
    '{"id":9007199254740993}',
    [{ id: new JsonNumber('9007199254740993') }],
  ],
  ['a member twice', `{"a":1,"a":2}${ONE}`, ['duplicate_member', one]],
  ['an array at the top', `[${ONE}]\n${TWO}`, ['not_an_object', one, 'not_an_object', two]],
  ['an input that ends inside an object', `${ONE}{"data":`, [one, 'object_cut']],
]

describe('JsonObjectParser', () => {
  it.each(CASES)('S01 parses %s: whole, byte by byte and split in two at any point', (_name, input, seen) => {
    const bytes = Buffer.from(input)
    expect(parse([bytes])).toEqual(seen)
    expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(seen)
    for (let cut = 1; cut < bytes.length; cut += 1)
      expect(parse([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(seen)
  })

  it('S01 parses an object that is split across three chunks', () => {
    expect(parse(['{"da', 'ta":"o', 'ne"}'])).toEqual([one])
  })

  it.each([
    ['a byte that is never valid in UTF-8', Buffer.from('{"data":"\xff"}', 'latin1')],
    ['an incomplete character', Buffer.from('{"data":"\xc3"}', 'latin1')],
    ['a surrogate', Buffer.from('{"data":"\xed\xa0\x80"}', 'latin1')],
  ])('rejects %s, which would arrive as another character, and continues', (_what, bytes) => {
    expect(parse([bytes, ONE])).toEqual(['malformed_json', one])
    expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(['malformed_json'])
    const messages: string[] = []
    const parser = new JsonObjectParser({
      onObject: () => {},
      onError: ({ message }) => messages.push(message),
    })
    parser.push(bytes)
    expect(messages).toEqual(['The object is not valid UTF-8.'])
  })

  it('keeps multi-byte characters that are split at any point, and skips a byte order mark', () => {
    const bytes = Buffer.from('\ufeff{"data":"é€😀\ufffd\ufeff"}')
    const whole = [{ data: 'é€😀\ufffd\ufeff' }]
    expect(parse([bytes])).toEqual(whole)
    expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  it('accepts an object of the maximum size, and skips a larger one', () => {
    const fits = JSON.stringify({ data: 'x'.repeat(89) })
    const tooLarge = JSON.stringify({ data: '}'.repeat(90) })
    expect(fits).toHaveLength(100)
    expect(parse([fits, tooLarge, ONE, '\n', TWO], { maxBytes: 100 })).toEqual([
      { data: 'x'.repeat(89) },
      'object_too_large',
      one,
      two,
    ])
    expect(
      parse(
        [...Buffer.from(tooLarge + ONE)].map((byte) => Uint8Array.of(byte)),
        { maxBytes: 100 },
      ),
    ).toEqual(['object_too_large', one])
  })

  it('counts bytes, not characters', () => {
    expect(parse([JSON.stringify({ data: '€'.repeat(30) })], { maxBytes: 100 })).toEqual(['object_too_large'])
  })

  it('skips an object that is nested too deeply completely', () => {
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    expect(parse([nested(64), nested(65), ONE])).toEqual([JSON.parse(nested(64)), 'object_too_deep', one])
    expect(parse([nested(100_000), ONE])).toEqual(['object_too_deep', one])
  })

  it('has messages that describe the error', () => {
    const messages: string[] = []
    const parser = new JsonObjectParser({
      onObject: () => {},
      onError: ({ message }) => messages.push(message),
    })
    parser.push(Buffer.from('hello\n{bad}{'))
    parser.end()
    expect(messages).toEqual([
      'A publication must be a JSON object, for example {"data": "Hello"}.',
      'The object is not valid JSON.',
      'The input ended inside an object.',
    ])
  })

  it('needs linear time for an object of 256 KiB full of braces that arrives byte by byte', () => {
    const text = JSON.stringify({ data: '}'.repeat(256 * 1024) })
    const bytes = Buffer.from(text)
    const started = performance.now()
    const seen = parse(Array.from(bytes, (byte) => Uint8Array.of(byte)))
    expect(seen).toEqual([JSON.parse(text)])
    // Less than a second, nearly all of it in the decoder; parsing again at each brace would take days.
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
