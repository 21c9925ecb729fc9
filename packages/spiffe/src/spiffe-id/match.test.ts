import { describe, expect, it } from '@jest/globals'
import { SpiffeId } from './id.ts'
import { matchAny, matchId, matchMemberOf, matchOneOf } from './match.ts'

const id = SpiffeId.parse('spiffe://example.org/a')

describe('matchers', () => {
  it('accept the IDs that they name', () => {
    for (const matches of [
      matchAny(),
      matchId('spiffe://example.org/a'),
      matchOneOf('spiffe://example.org/b', id),
      matchMemberOf('example.org'),
    ])
      expect(() => matches(id)).not.toThrow()
  })

  it('report the ID that they reject', () => {
    const unexpected = { code: 'unexpected_id', message: 'unexpected ID "spiffe://example.org/a"', id }
    expect(() => matchId('spiffe://example.org/A')(id)).toThrow(expect.objectContaining(unexpected))
    expect(() => matchId('spiffe://example.org/a/b')(id)).toThrow(expect.objectContaining(unexpected))
    expect(() => matchOneOf()(id)).toThrow(expect.objectContaining(unexpected))
    expect(() => matchMemberOf('ample.org')(id)).toThrow(
      expect.objectContaining({
        code: 'unexpected_trust_domain',
        message: 'unexpected trust domain "example.org"',
      }),
    )
  })

  it('reject an invalid ID as argument', () => {
    expect(() => matchId('example.org/a')).toThrow('scheme is missing or invalid')
    expect(() => matchMemberOf('')).toThrow('trust domain is missing')
  })
})
