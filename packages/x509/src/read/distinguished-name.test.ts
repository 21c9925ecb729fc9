import { describe, expect, it } from '@jest/globals'
import { oid, sequence, set, utf8String } from '../der/index.ts'
import { writeName } from '../write/index.ts'
import { parseDistinguishedName, readDistinguishedName } from './distinguished-name.ts'

type Attributes = readonly (readonly ['commonName' | 'organization' | 'country', string])[]
const read = (...attributes: Attributes) => readDistinguishedName(writeName(...attributes))

describe('a distinguished name', () => {
  it.each<[text: string, attributes: Attributes]>([
    [
      'CN=servicea,O=Example',
      [
        ['organization', 'Example'],
        ['commonName', 'servicea'],
      ],
    ],
    [
      'cn = servicea, o = Example',
      [
        ['organization', 'Example'],
        ['commonName', 'servicea'],
      ],
    ],
    ['2.5.4.3=servicea', [['commonName', 'servicea']]],
    ['C=DE', [['country', 'DE']]],
    ['CN=a\\,O\\=b', [['commonName', 'a,O=b']]],
    ['CN=a\\2cO=b', [['commonName', 'a,O=b']]],
    ['CN=\\ a\\ ', [['commonName', ' a ']]],
    ['CN=Grün 😀', [['commonName', 'Grün 😀']]],
    ['CN=Gr\\C3\\BCn', [['commonName', 'Grün']]],
    ['CN=#0c0161', [['commonName', 'a']]],
    ['CN=', [['commonName', '']]],
  ])('is %s as text', (text, attributes) => {
    expect(parseDistinguishedName(text)).toBe(read(...attributes))
  })

  it('has its parts in order, and the attributes of one part in any order', () => {
    const attribute = (type: string, value: string) => sequence(oid(type), utf8String(value))
    const several = sequence(set(attribute('2.5.4.10', 'Example'), attribute('2.5.4.3', 'a')))
    for (const text of ['CN=a+O=Example', 'O=Example+CN=a'])
      expect(parseDistinguishedName(text)).toBe(readDistinguishedName(several))
    expect(parseDistinguishedName('CN=a,O=Example')).not.toBe(readDistinguishedName(several))
    expect(parseDistinguishedName('CN=a,O=Example')).not.toBe(parseDistinguishedName('O=Example,CN=a'))
  })

  it('is not equal to one with other case, white space or a value that looks like two parts', () => {
    expect(read(['commonName', 'A'])).not.toBe(read(['commonName', 'a']))
    expect(read(['commonName', 'a '])).not.toBe(read(['commonName', 'a']))
    expect(read(['commonName', 'a,O=Example'])).not.toBe(
      read(['organization', 'Example'], ['commonName', 'a']),
    )
  })

  it.each([
    ['', 'expected an attribute such as CN=, OU= or O= at character 0'],
    ['servicea', 'expected an attribute such as CN=, OU= or O= at character 0'],
    ['XY=a', 'expected an attribute such as CN=, OU= or O= at character 3'],
    ['CN=a,', 'expected an attribute such as CN=, OU= or O= at character 5'],
    ['CN=a;O=b', 'unexpected character at 4'],
    ['CN=a\\zz', 'unexpected character at 4'],
    ['CN="a"', 'unexpected character at 3'],
    ['CN=\\FF', 'an escaped value is not UTF-8'],
    ['CN=#0cff', 'a value after # is not DER'],
  ])('rejects the text %j', (text, message) => {
    expect(() => parseDistinguishedName(text)).toThrow(
      expect.objectContaining({ name: 'TypeError', message }),
    )
  })
})
