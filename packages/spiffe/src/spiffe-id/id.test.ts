import { describe, expect, it } from '@jest/globals'
import { SpiffeId } from './id.ts'
import { parseTrustDomain } from './parse.ts'
import { joinPath, validatePath } from './path.ts'
import { TrustDomain } from './trust-domain.ts'

const wrongPathCharacter =
  'path segment characters are limited to letters, numbers, dots, dashes, and underscores'
const wrongTrustDomainCharacter =
  'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores'

describe('SpiffeId.parse', () => {
  it.each([
    ['spiffe://example.org', 'example.org', ''],
    ['spiffe://example.org/a/b', 'example.org', '/a/b'],
    ['spiffe://a_b.c-1/.p', 'a_b.c-1', '/.p'],
    ['spiffe://td/...', 'td', '/...'],
    ['spiffe://td/..p', 'td', '/..p'],
    ['spiffe://1.2.3.4/X_y.Z-9', '1.2.3.4', '/X_y.Z-9'],
  ])('parses %s', (text, trustDomain, path) => {
    const id = SpiffeId.parse(text)
    expect({ trustDomain: id.trustDomain.name, path: id.path, text: `${id}` }).toEqual({
      trustDomain,
      path,
      text,
    })
  })

  it.each([
    ['', 'empty', 'cannot be empty'],
    ['example.org', 'wrong_scheme', 'scheme is missing or invalid'],
    ['http://td/p', 'wrong_scheme', 'scheme is missing or invalid'],
    ['Spiffe://td/p', 'wrong_scheme', 'scheme is missing or invalid'],
    ['spiffe:/', 'wrong_scheme', 'scheme is missing or invalid'],
    ['spiffe:/td', 'wrong_scheme', 'scheme is missing or invalid'],
    ['spiffe://', 'missing_trust_domain', 'trust domain is missing'],
    ['spiffe:///', 'missing_trust_domain', 'trust domain is missing'],
    ['spiffe:///p', 'missing_trust_domain', 'trust domain is missing'],
    ['spiffe://Td/p', 'bad_trust_domain_character', wrongTrustDomainCharacter],
    ['spiffe://td:80/p', 'bad_trust_domain_character', wrongTrustDomainCharacter],
    ['spiffe://u@td/p', 'bad_trust_domain_character', wrongTrustDomainCharacter],
    ['spiffe://t%64/p', 'bad_trust_domain_character', wrongTrustDomainCharacter],
    ['spiffe://td?q', 'bad_trust_domain_character', wrongTrustDomainCharacter],
    [`spiffe://${'a'.repeat(256)}/p`, 'trust_domain_too_long', 'trust domain is limited to 255 bytes'],
    ['spiffe://td/', 'trailing_slash', 'path cannot have a trailing slash'],
    ['spiffe://td/p/', 'trailing_slash', 'path cannot have a trailing slash'],
    ['spiffe://td//', 'empty_segment', 'path cannot contain empty segments'],
    ['spiffe://td//p', 'empty_segment', 'path cannot contain empty segments'],
    ['spiffe://td/.', 'dot_segment', 'path cannot contain dot segments'],
    ['spiffe://td/./p', 'dot_segment', 'path cannot contain dot segments'],
    ['spiffe://td/p/..', 'dot_segment', 'path cannot contain dot segments'],
    ['spiffe://td/%62', 'bad_path_character', wrongPathCharacter],
    ['spiffe://td/p?q', 'bad_path_character', wrongPathCharacter],
    ['spiffe://td/p#f', 'bad_path_character', wrongPathCharacter],
    ['spiffe://td/🎟', 'bad_path_character', wrongPathCharacter],
    ['spiffe://td/p\n', 'bad_path_character', wrongPathCharacter],
    [`spiffe://td/${'a'.repeat(2037)}`, 'too_long', 'a SPIFFE ID is limited to 2048 bytes'],
  ])('rejects %j', (text, code, message) => {
    expect(() => SpiffeId.parse(text)).toThrow(
      expect.objectContaining({ name: 'SpiffeIdError', code, message }),
    )
  })

  it('parses the longest ID that every implementation must support', () => {
    const longest = `spiffe://td/${'a'.repeat(2036)}`
    expect(longest).toHaveLength(2048)
    expect(`${SpiffeId.parse(longest)}`).toBe(longest)
  })

  it('allows exactly the characters of the standard', () => {
    const allowed = { td: '', path: '' }
    for (let code = 0; code < 256; code++) {
      const character = String.fromCharCode(code)
      for (const [where, text] of [
        ['td', `spiffe://td${character}x/p`],
        ['path', `spiffe://td/p${character}x`],
      ] as const)
        try {
          const id = SpiffeId.parse(text)
          if (id.trustDomain.name !== 'td' || where === 'path') allowed[where] += character
        } catch {
          // Not allowed.
        }
    }
    const lower = 'abcdefghijklmnopqrstuvwxyz'
    const digits = '0123456789'
    expect(allowed.td).toBe(`-.${digits}_${lower}`)
    expect(allowed.path).toBe(`-./${digits}${lower.toUpperCase()}_${lower}`)
  })
})

describe('paths and trust domains', () => {
  it('a path is made of segments, each of them checked', () => {
    expect(joinPath('ns', 'prod')).toBe('/ns/prod')
    expect(joinPath()).toBe('')
    expect(() => joinPath('a', '')).toThrow('path cannot contain empty segments')
    expect(() => joinPath('a/b')).toThrow(wrongPathCharacter)
    expect(() => joinPath('..')).toThrow('path cannot contain dot segments')
    expect(() => validatePath('a')).toThrow('path must have a leading slash')
    expect(`${SpiffeId.fromSegments(TrustDomain.ofName('td'), 'a', 'b')}`).toBe('spiffe://td/a/b')
  })

  it('a trust domain is parsed from its name and from any ID in it', () => {
    expect(parseTrustDomain('example.org').id).toBe('spiffe://example.org')
    expect(parseTrustDomain('spiffe://example.org/a').name).toBe('example.org')
    expect(() => parseTrustDomain('')).toThrow('trust domain is missing')
    expect(() => parseTrustDomain('http://example.org')).toThrow('scheme is missing or invalid')
    expect(() => parseTrustDomain('Example.org')).toThrow(wrongTrustDomainCharacter)
    expect(SpiffeId.parse('spiffe://td/a').memberOf(TrustDomain.ofName('td'))).toBe(true)
    expect(SpiffeId.parse('spiffe://td/a').memberOf(TrustDomain.ofName('t'))).toBe(false)
  })
})
