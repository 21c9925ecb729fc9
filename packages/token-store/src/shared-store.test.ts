import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { describe, expect, it } from '@jest/globals'
import { LmdbStore } from './lmdb/store.ts'
import { RedisStore } from './redis/store.ts'
import { startRedis } from './testing/redis.ts'
import { type StorePlace, storeContract } from './testing/store-contract.ts'

const onLmdb = async (): Promise<StorePlace> => {
  const folder = await mkdtemp(join(tmpdir(), 'token-store-'))
  return {
    location: folder,
    open: (clock) => new LmdbStore({ folder, ...(clock ? { clock: clock.now } : {}) }),
    end: () => rm(folder, { recursive: true }),
  }
}

const onRedis = async (): Promise<StorePlace> => {
  const redis = await startRedis()
  return {
    location: redis.url,
    open: (clock) => new RedisStore({ url: redis.url, ...(clock ? { clock: clock.now } : {}) }),
    end: () => redis.stop(),
  }
}

describe('LmdbStore', () => {
  storeContract(onLmdb)
  describe('with pinned zones', () => storeContract(onLmdb, { pinned: true }))

  it('makes its files owner-only', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'token-store-'))
    const store = new LmdbStore({ folder: join(folder, 'made') })
    await store.open()
    await store.zone('z').replace('k', undefined, { value: 'v', endsAt: Date.now() + 1_000 })
    for (const [path, mode] of [
      ['made', 0o700],
      ['made/store/data.mdb', 0o600],
      ['made/store/lock.mdb', 0o600],
    ] as const)
      expect([path, (await stat(join(folder, path))).mode & 0o777]).toEqual([path, mode])
    await store.close()
    await rm(folder, { recursive: true })
  })
})

describeWith('redis-server', 'apt-get install redis-server')('RedisStore', () => {
  storeContract(onRedis)
  describe('with pinned zones', () => storeContract(onRedis, { pinned: true }))
})
