import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { LmdbStore } from '../lmdb/index.ts'
import type { StorePlace } from '../store-for.ts'
import { startRedis, type TestRedis } from '../testing/redis.ts'
import { Seal } from './seal.ts'
import { SealedStore } from './sealed-store.ts'

const SECRET = 'a secret of more than 32 characters'
const inAMinute = () => Date.now() + 60_000

const open = (
  place: StorePlace,
  secret = SECRET,
  common: Record<string, string> = { SECRET: secret },
  scope = 'scope',
) => SealedStore.open({ place, name: 'test', secret, scope, common, maxEntries: 10 })

describe('a seal', () => {
  const seal = new Seal(SECRET, 'test')
  const [one, other] = [seal.name('one'), seal.name('other')]

  it('opens what it closed, and never makes the same bytes twice', () => {
    const closed = seal.close(one, 'ü')
    expect(seal.open(one, closed)).toBe('ü')
    expect(seal.close(one, 'ü')).not.toBe(closed)
    expect(one).toMatch(/^[\w-]{43}$/)
  })

  it('does not open a value of another name, secret or purpose, or a changed one', () => {
    const closed = seal.close(one, 'value')
    expect(seal.open(other, closed)).toBeUndefined()
    for (const foreign of [new Seal(`${SECRET}x`, 'test'), new Seal(SECRET, 'another')]) {
      expect(foreign.open(one, closed)).toBeUndefined()
      expect(foreign.name('one')).not.toBe(one)
    }
    const bytes = Buffer.from(closed, 'base64url')
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes)
      changed[index] = (changed[index] as number) ^ 1
      expect(seal.open(one, changed.toString('base64url'))).toBeUndefined()
    }
    for (const short of ['', 'x', closed.slice(0, 30)]) expect(seal.open(one, short)).toBeUndefined()
  })
})

describe('SealedStore on lmdb', () => {
  let folder = ''
  let store: SealedStore
  let place: StorePlace
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sealed-'))
    place = { redis: undefined, storeFolder: folder }
    store = await open(place)
  })
  afterAll(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  it('loses no change of two processes', async () => {
    const second = await open(place)
    await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        (index % 2 ? store : second).pinned.change<number>('count', (entry) => ({
          value: (entry?.value ?? 0) + 1,
          endsAt: inAMinute(),
        })),
      ),
    )
    expect((await store.pinned.get<number>('count'))?.value).toBe(60)
    await second.close()
  })

  it('treats a damaged entry as absent and overwrites it', async () => {
    const raw = new LmdbStore({ folder })
    await raw.open()
    const key = new Seal(SECRET, 'test store of scope').name('k')
    await raw.zone('entries').overrule(key, { value: 'damaged', endsAt: inAMinute() })
    expect(await store.entries.get('k')).toBeUndefined()
    await store.entries.put('k', { a: 1 }, inAMinute())
    expect((await store.entries.get('k'))?.value).toEqual({ a: 1 })
    await raw.close()
  })

  it('shows nothing to a process with another secret or scope, which may share the folder', async () => {
    await store.entries.put('secret', 'value', inAMinute())
    const foreign = await open(place, `${SECRET} of another`)
    expect(await foreign.entries.get('secret')).toBeUndefined()
    const otherScope = await open(place, SECRET, {}, 'another scope')
    expect(await otherScope.entries.get('secret')).toBeUndefined()
    await otherScope.close()
    await foreign.check()
    await store.check()
    await foreign.close()
  })

  it('has at most the largest number of entries: a further one replaces one that ends soon', async () => {
    for (let count = 0; count < 30; count += 1)
      await store.entries.put(`entry ${count}`, count, inAMinute() + count)
    expect(await store.entries.count()).toBe(10)
    expect((await store.entries.get('entry 29'))?.value).toBe(29)
    expect(await store.entries.get('entry 0')).toBeUndefined()
  })
})

describeWith('redis-server', 'apt-get install redis-server')('SealedStore on Redis', () => {
  let redis: TestRedis
  let place: StorePlace
  beforeAll(async () => {
    redis = await startRedis()
    place = { redis: { url: redis.url }, storeFolder: '' }
  })
  afterAll(() => redis.stop())

  it('is refused to a replica with another secret: at start, and later if Redis was not reachable then', async () => {
    const one = await open(place, SECRET, { A: 'a', B: 'b' })
    const mismatch = {
      name: 'SecretMismatchError',
      message: expect.stringMatching(/^B must be the same for all replicas/),
    }
    await expect(open(place, SECRET, { A: 'a', B: 'c' })).rejects.toMatchObject(mismatch)
    await redis.kill()
    const late = await open(place, SECRET, { A: 'a', B: 'c' })
    await expect(late.check()).rejects.toMatchObject({ name: 'StoreUnavailableError' })
    await redis.start()
    await until(() => one.check())
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await expect(late.check()).rejects.toMatchObject(mismatch)
    await Promise.all([one.close(), late.close()])
  })
})

/** Waits until the store is reachable again; it checks once a second. */
async function until(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await check()
    } catch (error) {
      if (tries > 50) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
