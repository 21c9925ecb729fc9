import { ManualClock } from '@hallpass/service-kit/testing'
import { thumbprint } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { KeyStore } from './key-store.ts'

const failures: unknown[] = []
const newStore = (clock = new ManualClock()) =>
  new KeyStore({ algorithm: 'EdDSA', clock: clock.now, onFailure: (error) => failures.push(error) })

describe('KeyStore', () => {
  it('creates one pair for concurrent requests for a new key ID', async () => {
    const store = newStore()
    const rings = await Promise.all([
      ...Array.from({ length: 10 }, () => store.getOrCreate('servicea')),
      ...Array.from({ length: 10 }, () => store.createOrRotate('servicea')),
    ])
    expect(new Set(rings.map(({ signing }) => signing.kid)).size).toBe(1)
    expect(store.keyIds).toEqual(['servicea'])
  })

  it('creates a separate key for each of several concurrent rotations', async () => {
    const store = newStore()
    const { signing } = await store.getOrCreate('servicea')
    const seen = new Set([signing.kid])
    await Promise.all(
      Array.from({ length: 5 }, () =>
        store.createOrRotate('servicea').then((ring) => seen.add(ring.signing.kid)),
      ),
    )
    expect(seen.size).toBe(6)
  })

  it('publishes the next key before it signs', async () => {
    const store = newStore()
    const ring = await store.getOrCreate('servicea')
    await store.createOrRotate('servicea')
    // Created in the background; Jest's timeout ends the wait if it never appears.
    while (ring.next === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    const { next } = ring
    await store.createOrRotate('servicea')
    expect(ring.signing).toBe(next)
  })

  it('makes the kid of the key ID and thumbprint, with at most 64 characters', async () => {
    const store = newStore()
    const { signing } = await store.getOrCreate('servicea')
    expect(signing.kid).toBe(`servicea-${thumbprint(signing.publicKey).slice(0, 22)}`)
    const long = await store.getOrCreate('x'.repeat(64))
    expect(long.signing.kid).toMatch(/^x{41}-[\w-]{22}$/)
  })

  it('finds a key of any key ID by its kid, and none by a built-in name of JavaScript', async () => {
    const store = newStore()
    const ring = await store.getOrCreate('servicea')
    expect(store.find(ring.signing.kid)).toEqual({ ring, key: ring.signing })
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(store.find(name)).toBeUndefined()
      expect(store.get(name)).toBeUndefined()
    }
  })

  it('rejects more keys than the suite’s verifiers accept in one JWKS', async () => {
    const store = newStore()
    const results = await Promise.allSettled(
      Array.from({ length: 60 }, (_, index) => store.getOrCreate(`service-${index}`)),
    )
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(50)
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { status: 429, code: 'too_many_keys' },
    })
    expect(store.published.length).toBeLessThanOrEqual(100)
    expect(failures).toEqual([])
  })
})
