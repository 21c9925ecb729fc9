import { describe, expect, it } from '@jest/globals'
import { JsonNumber, parseJson, readJson, writeJson } from './exact-json.ts'

const errorOf = (text: string, read: (text: string) => unknown = parseJson) => {
  try {
    return read(text)
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string }
    return `${code}: ${message}`
  }
}
const inexact = (where: string, source: string) =>
  `inexact_number: ${where}: ${source} cannot be represented exactly; send it as a string.`

describe('parseJson', () => {
  it.each([
    '0',
    '-0',
    '0.1',
    '1.0',
    '1',
    '-1.50',
    '100',
    '1e3',
    '1E+2',
    '0e999',
    '9007199254740991',
    '9007199254740992',
    '9007199254740994',
    '-9007199254740992',
    '1e21',
    '123456789012345680000',
    '1.7976931348623157e308',
    '5e-324',
    '2.2250738585072014e-308',
    '0.30000000000000004',
    '1e23',
    '1795316400.123',
    '4.35e-7',
    '0.000001',
    '1e0010',
  ])('accepts %s', (source) => {
    expect(parseJson(`{"n":${source}}`)).toEqual({ n: Number(source) })
  })

  it.each([
    '9007199254740993',
    '-9007199254740993',
    '18446744073709551615',
    '1e400',
    '-1e400',
    '1e-400',
    '9007199254740992.5',
    '0.1000000000000000055511151231257827',
    '3.14159265358979323846',
    '9007199254740993.0',
    '9.007199254740993e15',
    '90071992547409930e-1',
    '123456789012345678',
    '1e309',
    '4e-324',
    '1e0000000400',
  ])('rejects %s', (source) => {
    expect(errorOf(`{"n":${source}}`)).toBe(inexact('Member n', source))
    expect(errorOf(source)).toBe(inexact('The value', source))
    expect(errorOf(`[ ${source} ]`)).toBe(inexact('Member [0]', source))
  })

  it('names the member at any depth, and quotes only part of long values', () => {
    expect(errorOf('{"a":{"b c":[1,{"id":9007199254740993}]}}')).toBe(
      inexact('Member a["b c"][1].id', '9007199254740993'),
    )
    expect(errorOf(`{"${'n'.repeat(100)}":${'9'.repeat(100)}}`)).toBe(
      inexact(`Member ${'n'.repeat(40)}…`, `${'9'.repeat(40)}…`),
    )
  })

  it.each([
    ['{"a":1,"a":2}', 'Member a'],
    ['{"a":1,"\\u0061":1}', 'Member a'],
    ['[{"x":{"b":null,"b":null}}]', 'Member [0].x.b'],
    ['{"__proto__":1,"__proto__":2}', 'Member __proto__'],
    ['{"a":[],"a":{}}', 'Member a'],
  ])('rejects %s', (text, member) => {
    expect(errorOf(text)).toBe(`duplicate_member: ${member} occurs twice; send it once.`)
    expect(errorOf(text, readJson)).toBe(`duplicate_member: ${member} occurs twice; send it once.`)
  })

  it('treats __proto__ as an ordinary member, on both paths', () => {
    for (const more of ['', ',"n":1234567890123456.0'])
      for (const read of [parseJson, readJson]) {
        const value = read(`{"__proto__":{"admin":true}${more}}`) as Record<string, unknown>
        expect(Object.keys(value)[0]).toBe('__proto__')
        expect(value.admin).toBeUndefined()
        expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
      }
  })

  it.each(['', 'nonsense', '{"a":01}', '{"a":NaN}', '\ufeff{}', '{"a":1', '"\n"', '{"a":1}}'])(
    'rejects %j',
    (text) => {
      expect(errorOf(text)).toBe('malformed_json: The text is not valid JSON.')
    },
  )

  it('rejects deep nesting before anything recurses', () => {
    expect(errorOf('['.repeat(1_000_000))).toBe('json_too_deep: The JSON nests deeper than 64 levels.')
    expect(errorOf('[[1]]', (text) => parseJson(text, { maxDepth: 1 }))).toBe(
      'json_too_deep: The JSON nests deeper than 1 levels.',
    )
  })

  it('ignores numbers in strings', () => {
    const value = { 'k: 9007199254740993': ', 1e400', b: ':"[18446744073709551615\\' }
    expect(parseJson(JSON.stringify(value))).toEqual(value)
    expect(readJson(JSON.stringify(value))).toEqual(value)
  })
})

describe('readJson', () => {
  it.each([
    '9007199254740993',
    '18446744073709551615',
    '1e400',
    '1e-400',
    '-0',
    '-0.0',
    '1.0',
    '1.50',
    '1e3',
    '1E+2',
    '0.0000001',
    '0.1',
    '12',
    '-7',
    '0.5',
    '100',
    '0.1000000000000000055511151231257827',
    '1234567890123456',
    '1e21',
  ])('keeps %s as written', (source) => {
    for (const text of [source, `{"n":${source}}`, `[${source},{"m":[${source}]}]`])
      expect(writeJson(readJson(text))).toBe(text)
  })

  it('returns ordinary numbers as numbers', () => {
    expect(readJson('{"a":[1,-2.5],"big":9007199254740993}')).toEqual({
      a: [1, -2.5],
      big: new JsonNumber('9007199254740993'),
    })
  })
})

describe('writeJson', () => {
  it('writes like JSON.stringify, which itself writes a JsonNumber as a string', () => {
    const value = { n: new JsonNumber('1e400'), s: '"1e400"' }
    expect(writeJson(value)).toBe('{"n":1e400,"s":"\\"1e400\\""}')
    expect(writeJson({ a: [value.n] }, 2)).toBe('{\n  "a": [\n    1e400\n  ]\n}')
    expect(JSON.stringify(value)).toBe('{"n":"1e400","s":"\\"1e400\\""}')
    expect(`${value.n}`).toBe('1e400')
  })
})
