import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  generateSigningKey,
  KeyNotLoadedError,
  KeySetError,
  publicJwks,
  remoteKeys,
  SIGNATURE_ALGORITHMS,
  type SigningKey,
} from '../../index.ts'
import { testKey } from '../../testing.ts'
import type { RemoteKeysOptions } from './options.ts'

const ISSUER = 'https://issuer'
const SECOND = 1000
const MINUTE = 60 * SECOND

let first: SigningKey
let second: SigningKey
beforeAll(async () => {
  first = await generateSigningKey('ES256', 'first')
  second = await generateSigningKey('ES256', 'second')
})

/** An issuer whose response and clock are set by the test. */
function issuer(published: () => unknown, options: Pick<RemoteKeysOptions, 'algorithms' | 'onFailure'> = {}) {
  const state = {
    now: 0,
    loads: 0,
    published,
    hold: undefined as Promise<void> | undefined,
    reports: [] as string[][],
  }
  const find = remoteKeys({
    issuer: ISSUER,
    clock: () => state.now,
    onUnusable: (unusable) => state.reports.push(unusable.map(({ index, reason }) => `${index} ${reason}`)),
    ...options,
    async load() {
      state.loads += 1
      await state.hold
      return state.published()
    },
  })
  const kidOf = async (kid: string | undefined, of = ISSUER) => (await find(of, kid, 'ES256'))?.kid
  return Object.assign(state, { find, kidOf })
}

const publishing =
  (...keys: SigningKey[]) =>
  () =>
    publicJwks(keys)
/** Whether the key exists cannot be said before the keys are loaded again. */
const notLoaded = (seconds: number) => new KeyNotLoadedError(ISSUER, seconds * SECOND)
const down = () => {
  throw new Error('the issuer is down')
}

describe('keys that cannot be used, beside others', () => {
  const weak = { kty: 'OKP', crv: 'Ed448', kid: 'weak', x: 'AA' }
  const withWeak = () => ({ keys: [...publicJwks([first]).keys, weak] })

  it('are left out, and reported when they change', async () => {
    const state = issuer(withWeak)
    expect(await state.kidOf('first')).toBe('first')
    expect(await state.kidOf('weak')).toBeUndefined()
    expect(state.reports).toEqual([['1 unsupported_algorithm']])
    state.now += 6 * MINUTE
    await state.kidOf('first')
    expect(state.loads).toBeGreaterThan(1)
    expect(state.reports).toHaveLength(1)
    state.published = publishing(first)
    state.now += 6 * MINUTE
    await state.kidOf('first')
    expect(state.reports).toEqual([['1 unsupported_algorithm'], []])
  })

  it('are reported if there are no others, and the set is rejected', async () => {
    const state = issuer(() => ({ keys: [weak] }))
    await expect(state.kidOf('weak')).rejects.toMatchObject({ reason: 'no_usable_key' })
    expect(state.reports).toEqual([['0 unsupported_algorithm']])
  })

  it('are those of other algorithms than the accepted ones', async () => {
    const other = testKey('RS512', 'other')
    const published = () => publicJwks([first, other])
    const byDefault = issuer(published)
    expect(await byDefault.kidOf('other')).toBeUndefined()
    expect(byDefault.reports).toEqual([['1 unsupported_algorithm']])
    const all = issuer(published, { algorithms: SIGNATURE_ALGORITHMS })
    expect(await all.kidOf('other')).toBe('other')
    expect(all.reports).toEqual([])
  })
})

describe('a set that cannot be loaded while an older one is in use', () => {
  it('is the error for a key that the older one lacks, which may be new, and is reported until it is loaded', async () => {
    const failures: unknown[] = []
    const state = issuer(publishing(first), { onFailure: (failure) => failures.push(failure) })
    await state.kidOf('first')
    expect(failures).toEqual([undefined])
    state.published = down
    for (let n = 0; n < 2; n += 1) await expect(state.kidOf('second')).rejects.toThrow('the issuer is down')
    expect(await state.kidOf('first')).toBe('first')
    expect(failures).toMatchObject([undefined, { message: 'the issuer is down' }])
    state.published = publishing(first, second)
    state.now += 30 * SECOND
    expect(await state.kidOf('second')).toBe('second')
    expect(failures.at(-1)).toBeUndefined()
  })
})

describe('the published keys of an issuer', () => {
  it('are loaded for the first token, and once for many', async () => {
    const state = issuer(publishing(first))
    expect(state.loads).toBe(0)
    const found = await Promise.all(Array.from({ length: 100 }, () => state.kidOf('first')))
    expect(new Set(found)).toEqual(new Set(['first']))
    expect(state.loads).toBe(1)
  })

  it('are found synchronously once they are loaded', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    expect(state.find(ISSUER, 'first', 'ES256')).toMatchObject({ kid: 'first' })
  })

  it('are loaded again after the clock was set back, so that a removed key is not trusted longer', async () => {
    const state = issuer(publishing(first))
    state.now = 10 * MINUTE
    await state.kidOf('first')
    await state.kidOf('unknown')
    state.published = publishing(second)
    state.now = 0
    expect(await state.kidOf('first')).toBeUndefined()
    expect(await state.kidOf('second')).toBe('second')
  })

  it('are never those of another issuer', async () => {
    const state = issuer(publishing(first))
    expect(await state.kidOf('first', 'https://another')).toBeUndefined()
    expect(state.loads).toBe(0)
  })

  it('are found without a kid if only one fits the algorithm', async () => {
    const state = issuer(publishing(first))
    expect(await state.kidOf(undefined)).toBe('first')
    const two = issuer(publishing(first, second))
    expect(await two.kidOf(undefined)).toBeUndefined()
  })

  it('are loaded again for an unknown kid, so that a rotation needs no restart', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    state.published = publishing(first, second)
    expect(await state.kidOf('second')).toBe('second')
    expect(state.loads).toBe(2)
  })

  it('cost the issuer five loads per cooldown, however many kids are made up', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    for (let n = 0; n < 5; n += 1) expect(await state.kidOf(`invented-${n}`)).toBeUndefined()
    for (let n = 0; n < 1000; n += 1) await expect(state.kidOf(`more-${n}`)).rejects.toThrow(notLoaded(6))
    expect(state.loads).toBe(6)
    expect(await state.kidOf('first')).toBe('first')
    state.now += 30 * SECOND
    for (let n = 0; n < 5; n += 1) expect(await state.kidOf(`later-${n}`)).toBeUndefined()
    for (let n = 0; n < 1000; n += 1) await expect(state.kidOf(`last-${n}`)).rejects.toThrow(notLoaded(6))
    expect(state.loads).toBe(11)
  })

  it('include a new key immediately after a few made-up kids, and repeatedly, because a load that changes the set is free', async () => {
    const state = issuer(publishing(first))
    for (const kid of ['first', 'a', 'b', 'c', 'd']) await state.kidOf(kid)
    for (let n = 0; n < 10; n += 1) {
      state.published = publishing({ ...second, kid: `new ${n}` })
      expect(await state.kidOf(`new ${n}`)).toBe(`new ${n}`)
    }
  })

  it('include a new key after six seconds of a flood at the latest', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    for (let n = 0; n < 5; n += 1) await state.kidOf(`invented-${n}`)
    state.published = publishing(first, second)
    await expect(state.kidOf('second')).rejects.toThrow(notLoaded(6))
    state.now += 6 * SECOND
    await state.kidOf('invented')
    expect(await state.kidOf('second')).toBe('second')
  })

  it('cost one load for a thousand concurrent made-up kids', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    await Promise.all(Array.from({ length: 1000 }, (_, n) => state.kidOf(`invented-${n}`)))
    expect(state.loads).toBe(2)
  })

  it('are refreshed in the background before they expire, without delaying a request', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    state.now += 4 * MINUTE
    state.published = publishing(second)
    expect(state.find(ISSUER, 'first', 'ES256')).toMatchObject({ kid: 'first' })
    await new Promise(setImmediate)
    expect(state.loads).toBe(2)
    expect(state.find(ISSUER, 'second', 'ES256')).toMatchObject({ kid: 'second' })
  })

  it('lose a key that is no longer published once they are too old', async () => {
    const state = issuer(publishing(first, second))
    await state.kidOf('first')
    state.now += 5 * MINUTE
    state.published = publishing(second)
    expect(await state.kidOf('first')).toBeUndefined()
    expect(state.loads).toBe(2)
  })

  it('stay the same objects while they are published', async () => {
    const state = issuer(publishing(first))
    const before = await state.find(ISSUER, 'first', 'ES256')
    state.now += 5 * MINUTE
    expect(await state.find(ISSUER, 'first', 'ES256')).toBe(before)
    expect(state.loads).toBe(2)
  })

  it('are replaced if the key with a kid changes', async () => {
    const state = issuer(publishing(first))
    const before = await state.find(ISSUER, 'first', 'ES256')
    state.published = publishing({ ...second, kid: 'first' })
    state.now += 5 * MINUTE
    const after = await state.find(ISSUER, 'first', 'ES256')
    expect(after).not.toBe(before)
    expect(after?.publicKey.equals(second.publicKey)).toBe(true)
  })
})

describe('an issuer that is down', () => {
  it('fails verification with the error of the load while there are no keys', async () => {
    const state = issuer(down)
    await expect(state.kidOf('first')).rejects.toThrow('the issuer is down')
  })

  it('is called once a second until there are keys', async () => {
    const state = issuer(down)
    for (let n = 0; n < 10; n += 1) await expect(state.kidOf('first')).rejects.toThrow('the issuer is down')
    expect(state.loads).toBe(1)
    state.now += SECOND
    state.published = publishing(first)
    expect(await state.kidOf('first')).toBe('first')
    expect(state.loads).toBe(2)
  })

  it('leaves the last valid keys in use, and is called once per cooldown', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    state.published = down
    state.now += 5 * MINUTE
    for (let n = 0; n < 10; n += 1) expect(await state.kidOf('first')).toBe('first')
    expect(state.loads).toBe(2)
    state.now += 30 * SECOND
    expect(await state.kidOf('first')).toBe('first')
    expect(state.loads).toBe(3)
    state.published = publishing(second)
    state.now += 30 * SECOND
    expect(await state.kidOf('second')).toBe('second')
  })

  it('for a day loses its keys', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    state.published = down
    state.now += 24 * 60 * MINUTE
    await expect(state.kidOf('first')).rejects.toThrow('the issuer is down')
  })

  it('and hangs does not delay the use of known keys', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    let release = () => {}
    state.hold = new Promise((resolve) => {
      release = resolve
    })
    state.now += 4 * MINUTE
    expect(state.find(ISSUER, 'first', 'ES256')).toMatchObject({ kid: 'first' })
    expect(state.loads).toBe(2)
    release()
  })
})

describe('a set that is rejected', () => {
  it('leaves the last valid one in use', async () => {
    const state = issuer(publishing(first))
    await state.kidOf('first')
    state.published = () => ({ keys: [{ kty: 'oct', k: 'AAAA' }] })
    await expect(state.kidOf('second')).rejects.toMatchObject({ reason: 'symmetric_key' })
    expect(await state.kidOf('first')).toBe('first')
  })

  it('fails verification when there was none before', async () => {
    const state = issuer(() => ({ keys: 'none' }))
    await expect(state.kidOf('first')).rejects.toThrow(KeySetError)
  })
})

describe('the keys of an issuer that has more than fit into a set', () => {
  /** An issuer that publishes the first key, and any of its keys by kid. */
  function large(keys: readonly SigningKey[]) {
    const state = { now: 0, loads: 0, asked: [] as string[], keys, isDown: false }
    const find = remoteKeys({
      issuer: ISSUER,
      clock: () => state.now,
      async load() {
        state.loads += 1
        return publicJwks(state.keys.slice(0, 1))
      },
      async loadKey(kid) {
        state.asked.push(kid)
        if (state.isDown) down()
        const key = state.keys.find((one) => one.kid === kid)
        return key && publicJwks([key])
      },
    })
    const kidOf = async (kid: string) => (await find(ISSUER, kid, 'ES256'))?.kid
    return Object.assign(state, { find, kidOf })
  }

  it('are loaded one by one when a token names them, once for many tokens, and without the set', async () => {
    const state = large([first, second])
    expect(await state.kidOf('first')).toBe('first')
    expect(state.asked).toEqual([])
    const found = await Promise.all(Array.from({ length: 100 }, () => state.kidOf('second')))
    expect(new Set(found)).toEqual(new Set(['second']))
    expect([state.asked, state.loads]).toEqual([['second'], 1])
    expect(state.find(ISSUER, 'second', 'ES256')).toMatchObject({ kid: 'second' })
  })

  it('are found although many others were made up, which cost 20 loads per cooldown', async () => {
    const state = large([first, second])
    for (let n = 0; n < 10; n += 1) expect(await state.kidOf(`invented-${n}`)).toBeUndefined()
    expect(await state.kidOf('second')).toBe('second')
    for (let n = 0; n < 10; n += 1) expect(await state.kidOf(`more-${n}`)).toBeUndefined()
    for (let n = 0; n < 1000; n += 1) await expect(state.kidOf(`most-${n}`)).rejects.toThrow(notLoaded(2))
    expect(state.asked.length).toBe(21)
    expect(await state.kidOf('second')).toBe('second')
    state.now += 30 * SECOND
    for (let n = 0; n < 20; n += 1) expect(await state.kidOf(`later-${n}`)).toBeUndefined()
    await expect(state.kidOf('last')).rejects.toThrow(notLoaded(2))
    expect(state.asked.length).toBe(41)
    expect(await state.kidOf('x'.repeat(257))).toBeUndefined()
  })

  it('are loaded again when they are five minutes old, and are gone when the issuer has withdrawn them', async () => {
    const state = large([first, second])
    await state.kidOf('second')
    state.now += 5 * MINUTE
    state.keys = [first]
    expect(await state.kidOf('second')).toBeUndefined()
    expect(state.asked).toEqual(['second', 'second'])
  })

  it('stay in use while they cannot be loaded again, but an unknown one is an error', async () => {
    const state = large([first, second])
    await state.kidOf('second')
    state.now += 6 * MINUTE
    state.isDown = true
    expect(await state.kidOf('second')).toBe('second')
    await expect(state.kidOf('third')).rejects.toThrow('the issuer is down')
    state.now += 25 * 60 * MINUTE
    await expect(state.kidOf('second')).rejects.toThrow('the issuer is down')
  })

  it('are kept up to a number, the oldest is forgotten first', async () => {
    const many = Array.from({ length: 1_002 }, (_, index) => ({ ...second, kid: `kid-${index}` }))
    const state = large([first, ...many])
    for (const { kid } of many) expect(await state.kidOf(kid)).toBe(kid)
    expect(state.asked.length).toBe(1_002)
    await state.kidOf('kid-1001')
    expect(state.asked.length).toBe(1_002)
    await state.kidOf('kid-0')
    expect(state.asked.length).toBe(1_003)
  })
})
