import { JsonNumber } from '@hallpass/untrusted/json'
import { describe, expect, it } from '@jest/globals'
import { JsonObjectParser } from './json-object-parser.ts'

/** What the parser reports for these chunks: objects as they are, errors by their code. */
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
  ['one on a line', `${ONE}\n`, [one]],
  ['one without a line end', ONE, [one]],
  ['two lines', `${ONE}\n${TWO}\n`, [one, two]],
  ['lines that end in CRLF', `${ONE}\r\n${TWO}\r\n`, [one, two]],
  ['two right behind each other', ONE + TWO, [one, two]],
  ['a JSON text sequence (RFC 7464)', `\x1e${ONE}\n\x1e${TWO}\n`, [one, two]],
  [
    'pretty-printed ones',
    `${JSON.stringify({ data: [one, {}, []] }, null, 2)}\n${TWO}`,
    [{ data: [one, {}, []] }, two],
  ],
  ['braces on lines of their own', '{\n"data":\n[\n{\n"a":1\n}\n]\n}\n', [{ data: [{ a: 1 }] }]],
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
  ['characters of several bytes', '{"data":"é€😀"}', [{ data: 'é€😀' }]],
  ['a byte order mark', `\ufeff${ONE}`, [one]],
  ['empty lines', `\n\n  ${ONE}\n\n`, [one]],

  ['a bad line before a good one', `hello\n${ONE}\n`, ['not_an_object', one]],
  ['two bad lines, each reported', `hello world\nagain\n${ONE}`, ['not_an_object', 'not_an_object', one]],
  ['a bad object before a good one on the same line', `{bad}${ONE}`, ['malformed_json', one]],
  [
    'a bad object with an object inside, of which nothing is published',
    `{bad ${ONE} }${TWO}`,
    ['malformed_json', two],
  ],
  ['a string that is not closed', `{"data":"oops\n${ONE}\n`, ['malformed_json', one]],
  ['an object that is not closed', `{"data":1\n${ONE}\n`, ['malformed_json', one]],
  ['a key without a value', `{"data"}${ONE}`, ['malformed_json', one]],
  ['a comma too many', `{"a":1,}${ONE}`, ['malformed_json', one]],
  ['brackets that do not match', `{"a":[1}\n${ONE}`, ['malformed_json', one]],
  ['a number that is none', `{"a":1.2.3}${ONE}`, ['malformed_json', one]],
  ['a word that is none', `{"a":nul}${ONE}`, ['malformed_json', one]],
  ['a brace in a string of a bad object', `{"a" "}" }${ONE}`, ['malformed_json', one]],
  [
    'a bad pretty-printed object, of whose inside nothing is published',
    '{\n  "a": bad?,\n  "b": {\n    "data": 1\n  }\n}\n{}',
    ['malformed_json', {}],
  ],
  [
    'an id that a double cannot hold',
    '{"id":9007199254740993}',
    [{ id: new JsonNumber('9007199254740993') }],
  ],
  ['a member twice', `{"a":1,"a":2}${ONE}`, ['duplicate_member', one]],
  ['an array at the top', `[${ONE}]\n${TWO}`, ['not_an_object', one, 'not_an_object', two]],
  ['an input that ends inside an object', `${ONE}{"data":`, [one, 'object_cut']],
]

describe('JsonObjectParser', () => {
  it.each(CASES)('S01 reads %s, whole, byte by byte and cut in two anywhere', (_name, input, seen) => {
    const bytes = Buffer.from(input)
    expect(parse([bytes])).toEqual(seen)
    expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(seen)
    for (let cut = 1; cut < bytes.length; cut += 1)
      expect(parse([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(seen)
  })

  it('S01 reads an object that is split over three chunks', () => {
    expect(parse(['{"da', 'ta":"o', 'ne"}'])).toEqual([one])
  })

  it.each([
    ['a byte that UTF-8 has not', Buffer.from('{"data":"\xff"}', 'latin1')],
    ['half a character', Buffer.from('{"data":"\xc3"}', 'latin1')],
    ['a surrogate', Buffer.from('{"data":"\xed\xa0\x80"}', 'latin1')],
  ])('refuses %s, which would arrive as another character, and goes on', (_what, bytes) => {
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

  it('keeps characters of several bytes that are cut anywhere, and passes over a byte order mark', () => {
    const bytes = Buffer.from('\ufeff{"data":"é€😀\ufffd\ufeff"}')
    const whole = [{ data: 'é€😀\ufffd\ufeff' }]
    expect(parse([bytes])).toEqual(whole)
    expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  it('takes an object of the greatest size, and skips one that is greater', () => {
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

  it('counts bytes and not characters', () => {
    expect(parse([JSON.stringify({ data: '€'.repeat(30) })], { maxBytes: 100 })).toEqual(['object_too_large'])
  })

  it('skips an object that is too deep, and all of it', () => {
    const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    expect(parse([nested(64), nested(65), ONE])).toEqual([JSON.parse(nested(64)), 'object_too_deep', one])
    expect(parse([nested(100_000), ONE])).toEqual(['object_too_deep', one])
  })

  it('says in words what was wrong', () => {
    const messages: string[] = []
    const parser = new JsonObjectParser({
      onObject: () => {},
      onError: ({ message }) => messages.push(message),
    })
    parser.push(Buffer.from('hello\n{bad}{'))
    parser.end()
    expect(messages).toEqual([
      'What is published must be a JSON object: {"data": "Hello"}.',
      'The object is not valid JSON.',
      'The input ended inside of an object.',
    ])
  })

  it('takes linear time for an object of 256 KiB that comes byte by byte and is full of braces', () => {
    const text = JSON.stringify({ data: '}'.repeat(256 * 1024) })
    const bytes = Buffer.from(text)
    const started = performance.now()
    const seen = parse(Array.from(bytes, (byte) => Uint8Array.of(byte)))
    expect(seen).toEqual([JSON.parse(text)])
    // Less than a second, nearly all of it in the decoder; trying each brace as the last one would take days.
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
