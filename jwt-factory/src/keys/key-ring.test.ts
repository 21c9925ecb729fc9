import { testKey } from '@hallpass/tokens/testing'
import { describe, expect, it } from '@jest/globals'
import { KeyRing, newKey } from './key-ring.ts'

const NOW = 1_000_000
const key = (name: string, state: 'signing' | 'published' | 'retired', more: object = {}) =>
  newKey({ ...testKey('ES256', name), kid: name }, state, NOW, {
    signer: 'wrapped',
    reference: `wrapped ${name}`,
    ...more,
  })
const first = () => new KeyRing('servicea', [key('first', 'signing')])
const kids = (keys: readonly { kid: string }[]) => keys.map(({ kid }) => kid)

describe('the lifecycle of a key', () => {
  it('is published before it signs', () => {
    const ring = first().withNext(key('second', 'published'), NOW)
    expect(kids(ring.published(NOW))).toEqual(['first', 'second'])
    expect(ring.signing.kid).toBe('first')
  })

  it('signs after a rotation, while the previous key verifies until its last token has expired', () => {
    const ring = first()
      .withNext(key('second', 'published'), NOW)
      .rotated(key('second', 'published'), NOW, NOW + 50)
    expect(ring.signing.kid).toBe('second')
    expect(kids(ring.published(NOW + 49))).toEqual(['second', 'first'])
    expect(ring.find('first', NOW + 49)?.state).toBe('retired')
    expect(ring.find('first', NOW + 50)).toBeUndefined()
    expect(kids(ring.published(NOW + 50))).toEqual(['second'])
    expect(kids(ring.rotated(key('third', 'published'), NOW + 50, NOW + 99).keys)).toEqual([
      'third',
      'second',
    ])
  })

  it('ends the existence of its private half when it no longer signs', () => {
    const ring = first().rotated(key('second', 'published'), NOW, NOW + 50)
    expect(ring.keys.map(({ stored }) => stored.reference)).toEqual(['wrapped second', undefined])
    expect(ring.print()).not.toContain('wrapped first')
  })

  it('keeps the name of a private half outside, until the key is removed', () => {
    const outside = key('first', 'signing', { signer: 'pkcs11', reference: 'slot 1' })
    const ring = new KeyRing('servicea', [outside]).rotated(key('second', 'published'), NOW, NOW + 50)
    expect(ring.keyNamed('first')?.stored.reference).toBe('slot 1')
  })

  it('ends with a withdrawal: it leaves the key set, and is still known as withdrawn', () => {
    const ring = first()
      .rotated(key('second', 'published'), NOW, NOW + 50)
      .withdrawn(new Set(['first', 'second']), NOW, key('third', 'published'), true)
    expect(kids(ring.published(NOW))).toEqual(['third'])
    expect(ring.find('first', NOW)?.state).toBe('withdrawn')
    expect(ring.find('second', NOW + 1e9)?.state).toBe('withdrawn')
    expect(ring.print()).not.toContain('wrapped second')
    expect(ring.allWithdrawnMs).toBe(NOW)
  })

  it('forgets the oldest of many withdrawn keys, and no other', () => {
    let ring = first()
    for (let n = 0; n < 60; n += 1)
      ring = ring.withdrawn(
        new Set([ring.signing.kid]),
        NOW + n,
        newKey({ ...testKey('ES256', 'one'), kid: `key ${n}` }, 'published', NOW + n),
      )
    const withdrawn = ring.states(NOW).filter(({ state }) => state === 'withdrawn')
    expect(withdrawn.length).toBeLessThanOrEqual(51)
    expect(ring.keyNamed('first')).toBeUndefined()
    expect(ring.keyNamed('key 58')?.state).toBe('withdrawn')
    expect(ring.signing.kid).toBe('key 59')
  })

  it('is read back from its record, and keeps the parsed halves of unchanged keys', () => {
    const ring = first().rotated(key('second', 'published'), NOW, NOW + 50)
    const back = KeyRing.parse('servicea', ring.print())
    expect(back.states(NOW)).toEqual(ring.states(NOW))
    expect(back.signing.publicKey.equals(ring.signing.publicKey)).toBe(true)
    expect(KeyRing.parse('servicea', ring.print(), back).signing).toBe(back.signing)
  })

  it.each(['{}', '{"keys":[]}', '{"keys":[{"kid":"a","alg":"HS256","state":"signing"}]}', 'x'])(
    'is not read from a damaged record: %s',
    (text) => expect(() => KeyRing.parse('servicea', text)).toThrow(),
  )

  it('publishes at most 100 keys of a key ID, the newest', () => {
    const many = Array.from({ length: 120 }, (_, n) =>
      newKey({ ...testKey('ES256', 'one'), kid: `old ${n}` }, 'retired', NOW + n, { untilMs: NOW + 1e6 }),
    )
    const ring = new KeyRing('servicea', [key('first', 'signing'), ...many])
    expect(ring.published(NOW)).toHaveLength(100)
    expect(ring.published(NOW)[1]?.kid).toBe('old 119')
    expect(ring.find('old 0', NOW)?.state).toBe('retired')
  })

  it('is not found without its kid', () => {
    expect(first().find(undefined, NOW)).toBeUndefined()
  })
})

describe('a ring whose last changes were lost', () => {
  const HOUR = 3_600_000
  const key = (name: string, sinceMs: number) =>
    newKey({ ...testKey('ES256', name), kid: name }, 'signing', sinceMs, {
      signer: 'wrapped',
      reference: `wrapped ${name}`,
    })
  const first = () => new KeyRing('servicea', [key('first', NOW)])
  const second = key('second', NOW)
  const later = NOW + 10
  const states = (ring: KeyRing | undefined) =>
    Object.fromEntries((ring?.keys ?? []).map(({ kid, state }) => [kid, state]))

  it('is noticed by a key that has signed or a withdrawal, and by nothing else', () => {
    const rotated = first().rotated(second, later, later + HOUR)
    expect(first().hasLost(rotated, later, HOUR)).toBe(true)
    expect(rotated.hasLost(first(), later, HOUR)).toBe(false)
    expect(first().hasLost(first().withNext(second.in('published', NOW), NOW), later, HOUR)).toBe(false)
    const withdrawn = first().withdrawn(new Set(['first']), later, second)
    expect(first().hasLost(withdrawn, later, HOUR)).toBe(true)
    expect(withdrawn.hasLost(first(), later, HOUR)).toBe(false)
  })

  it('has not lost what was removed after its last token had expired', () => {
    const rotated = first().rotated(second, later, later + HOUR)
    const after = rotated.rotated(key('third', NOW), later + HOUR, later + 2 * HOUR)
    expect(after.keyNamed('first')).toBeUndefined()
    for (const old of [first(), rotated]) expect(after.hasLost(old, later + HOUR, HOUR)).toBe(false)
  })

  it('signs with the later key, whose private half it has, and verifies with the others', () => {
    const rotated = first().rotated(second, later, later + HOUR)
    const joined = first().joined(rotated, later, later + HOUR)
    expect(states(joined)).toEqual({ first: 'retired', second: 'signing' })
    expect(joined?.signing.stored.reference).toBe('wrapped second')
    const meanwhile = first().rotated(key('third', NOW), later + 5, later + HOUR)
    expect(states(meanwhile.joined(rotated, later + 5, later + HOUR))).toEqual({
      first: 'retired',
      second: 'retired',
      third: 'signing',
    })
  })

  it('never signs with a key that one of both has withdrawn', () => {
    const withdrawn = first().withdrawn(new Set(['first']), later, second)
    expect(states(first().joined(withdrawn, later, later + HOUR))).toEqual({
      first: 'withdrawn',
      second: 'signing',
    })
    const other = first()
      .withNext(second.in('published', NOW), NOW)
      .withdrawn(new Set(['second']), later)
    expect(other.joined(withdrawn, later, later + HOUR)).toBeUndefined()
  })
})
