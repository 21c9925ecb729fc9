import { describe, expect, it } from '@jest/globals'
import { parseJsonObject } from './json-object.ts'

const parse = (text: string) => parseJsonObject(Buffer.from(text))

describe('a JSON object', () => {
  it.each([
    ['{}', {}],
    ['{"a":1,"b":[{"a":1},{"a":1}]}', { a: 1, b: [{ a: 1 }, { a: 1 }] }],
    ['{"a":":","b":"\\":\\"","c":"\\\\"}', { a: ':', b: '":"', c: '\\' }],
    ['{"a\\"b":{"c:d":"e\\\\\\":f"}}', { 'a"b': { 'c:d': 'e\\":f' } }],
    [' {\r\n\t"a" : 1 }\n', { a: 1 }],
    ['{"größe":"😀"}', { größe: '😀' }],
    ['{"a":9007199254740991,"b":0.1,"c":1.0}', { a: 9007199254740991, b: 0.1, c: 1 }],
  ])('%s is parsed', (text, value) => {
    expect(parse(text)).toEqual(value)
  })

  it('treats __proto__ as an ordinary member', () => {
    const value = parse('{"__proto__":{"admin":true}}') as Record<string, unknown>
    expect(Object.keys(value)).toEqual(['__proto__'])
    expect(value.admin).toBeUndefined()
  })

  it.each([
    ['{"a":1,"a":1}', 'a member occurs twice'],
    ['{"a":{"b":1,"b":2}}', 'a member occurs twice'],
    ['{"a":{"b":1,"c":2},"a":{"b":1}}', 'a member occurs twice'],
    ['{"a\\\\":1,"a\\\\":2}', 'a member occurs twice'],
    ['{"__proto__":1,"__proto__":2}', 'a member occurs twice'],
    [
      '{"user":{"id":9007199254740993}}',
      'Member user.id: 9007199254740993 cannot be represented exactly; send it as a string.',
    ],
    ['{"exp":1e400}', 'Member exp: 1e400 cannot be represented exactly; send it as a string.'],
    ['{"a":1', 'not JSON'],
    ['{"a":"b', 'not JSON'],
    ['"a\\', 'not JSON'],
    ['[]', 'not a JSON object'],
    [`${'['.repeat(33)}`, 'nested deeper than 32'],
  ])('%s is rejected: %s', (text, reason) => {
    expect(parse(text)).toBe(reason)
  })

  it('can nest 32 levels deep', () => {
    expect(parse(`{"a":${'['.repeat(31)}${']'.repeat(31)}}`)).toEqual(expect.any(Object))
  })
})
