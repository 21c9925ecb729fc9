import { ManualClock } from '@hallpass/service-kit/testing'
import { generateSigningKey, parseCompact, type SigningKey } from '@hallpass/tokens'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { KeyRing } from './key-ring.ts'

let first: SigningKey
let second: SigningKey
beforeAll(async () => {
  ;[first, second] = (await Promise.all(
    ['first', 'second'].map((kid) => generateSigningKey('ES256', kid)),
  )) as [SigningKey, SigningKey]
})

const kids = (keys: readonly SigningKey[]) => keys.map(({ kid }) => kid)

describe('the lifecycle of a key', () => {
  it('is published before it signs', async () => {
    const ring = new KeyRing('servicea', new ManualClock().now, { signing: first })
    ring.publish(second)
    expect(kids(ring.published)).toEqual(['first', 'second'])
    expect(parseCompact(await ring.sign({}, 60)).header.kid).toBe('first')
  })

  it('signs after a rotation, while the previous key verifies until its last token has expired', async () => {
    const clock = new ManualClock()
    const ring = new KeyRing('servicea', clock.now, { signing: first })
    await ring.sign({}, 60)
    clock.advance(10_000)
    await ring.sign({}, 60)
    ring.publish(second)
    clock.advance(10_000)
    ring.rotate()
    expect(parseCompact(await ring.sign({}, 60)).header.kid).toBe('second')
    expect(kids(ring.published)).toEqual(['second', 'first'])
    clock.advance(49_999)
    expect(ring.find('first')).toBe(first)
    clock.advance(1)
    expect(ring.find('first')).toBeUndefined()
    expect(kids(ring.published)).toEqual(['second'])
  })

  it('is removed at the rotation when it has signed no unexpired token', async () => {
    const ring = new KeyRing('servicea', new ManualClock().now, { signing: first })
    await ring.sign({}, -60)
    ring.publish(second)
    ring.rotate()
    expect(kids(ring.published)).toEqual(['second'])
  })

  it('stays for a token that was being signed during the rotation', async () => {
    const ring = new KeyRing('servicea', new ManualClock().now, { signing: first })
    ring.publish(second)
    const token = ring.sign({}, 60)
    ring.rotate()
    expect(ring.find(parseCompact(await token).header.kid as string)).toBe(first)
  })

  it('cannot sign without having been published', () => {
    const ring = new KeyRing('servicea', new ManualClock().now, { signing: first })
    expect(() => ring.rotate()).toThrow('servicea has no published key to rotate to.')
  })

  it('is not found without its kid', () => {
    const ring = new KeyRing('servicea', new ManualClock().now, { signing: first })
    expect(ring.find(undefined)).toBeUndefined()
  })
})
