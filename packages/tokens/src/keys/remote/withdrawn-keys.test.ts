import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  generateSigningKey,
  publicJwks,
  remoteKeys,
  type SigningKey,
  staticKeys,
  thumbprint,
} from '../../index.ts'

const ISSUER = 'https://issuer'
const SECOND = 1_000
const MINUTE = 60 * SECOND

let first: SigningKey
let second: SigningKey
let third: SigningKey
beforeAll(async () => {
  first = await generateSigningKey('ES256', 'first')
  second = await generateSigningKey('ES256', 'second')
  third = await generateSigningKey('ES256', 'third')
})

/** An issuer that publishes its first two keys in its set and, if the test wants it, all of them by their kid. */
async function issuer({ byKid = false } = {}) {
  const state = { now: 0, loads: 0, keys: [first, second, third], isDown: false }
  const set = (keys: readonly SigningKey[]) => {
    state.loads += 1
    if (state.isDown) throw new Error('the issuer is down')
    return keys.length === 0 ? undefined : publicJwks(keys)
  }
  const find = remoteKeys({
    issuer: ISSUER,
    clock: () => state.now,
    load: async () => set(state.keys.slice(0, 2)),
    ...(byKid ? { loadKey: async (kid: string) => set(state.keys.filter((key) => key.kid === kid)) } : {}),
  })
  await find(ISSUER, 'first', 'ES256')
  const withdrawnAt = (key: SigningKey, of = ISSUER) =>
    find.withdrawnAt?.(of, { kid: key.kid, thumbprint: thumbprint(key.publicKey) })
  return Object.assign(state, { find, withdrawnAt })
}

describe('a key that an issuer has withdrawn', () => {
  it('is known after five minutes at the latest, although no token comes', async () => {
    const state = await issuer()
    state.keys = [second]
    for (state.now = 0; state.now < 225 * SECOND; state.now += 25 * SECOND)
      expect(await state.withdrawnAt(first)).toBeUndefined()
    expect(state.loads).toBe(1)
    state.now = 5 * MINUTE
    expect(await state.withdrawnAt(first)).toBe(5 * MINUTE)
    expect(await state.withdrawnAt(second)).toBeUndefined()
    expect(state.loads).toBe(2)
  })

  it('is known at once if a token has caused a load', async () => {
    const state = await issuer()
    state.keys = [second, third]
    state.now += 10 * SECOND
    await state.find(ISSUER, 'third', 'ES256')
    state.now += 10 * SECOND
    expect(await state.withdrawnAt(first)).toBe(10 * SECOND)
  })

  it('is one that was replaced under its kid', async () => {
    const state = await issuer()
    state.keys = [{ ...third, kid: 'first' }, second]
    state.now = 5 * MINUTE
    expect(await state.withdrawnAt(first)).toBe(5 * MINUTE)
    expect(await state.withdrawnAt({ ...third, kid: 'first' })).toBeUndefined()
  })

  it('is not one of another issuer, and a fixed key is never withdrawn', async () => {
    const state = await issuer()
    expect(await state.withdrawnAt(third, 'https://another')).toBeUndefined()
    expect(staticKeys(ISSUER, [first]).withdrawnAt).toBeUndefined()
  })

  it('cannot be known while the set cannot be loaded; after a day no key is trusted', async () => {
    const state = await issuer()
    state.isDown = true
    for (state.now = 0; state.now < 24 * 60 * MINUTE; state.now += 10 * MINUTE)
      expect(await state.withdrawnAt(first)).toBeUndefined()
    state.now = 24 * 60 * MINUTE
    expect(await state.withdrawnAt(first)).toBe(Number.POSITIVE_INFINITY)
  })

  it('is looked for by its kid if the issuer has more keys than fit into its set', async () => {
    const state = await issuer({ byKid: true })
    await state.find(ISSUER, 'third', 'ES256')
    expect(await state.withdrawnAt(third)).toBeUndefined()
    state.keys = [first, second]
    state.now = 5 * MINUTE
    expect(await state.withdrawnAt(third)).toBe(5 * MINUTE)
    expect(await state.withdrawnAt(first)).toBeUndefined()
  })
})
