import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { StoreFullError } from '../shared-store.ts'
import { LmdbStore } from './store.ts'

describe('an lmdb store on a full disk', () => {
  const ROOM = 2 ** 30
  let folder: string
  let store: LmdbStore
  let free = ROOM
  const notices: string[] = []
  const rejections: unknown[] = []
  const onRejection = (error: unknown) => void rejections.push(error)
  beforeEach(async () => {
    free = ROOM
    notices.length = rejections.length = 0
    folder = await mkdtemp(join(tmpdir(), 'lmdb-room-'))
    store = new LmdbStore({ folder, freeBytes: () => free, onNotice: (notice) => notices.push(notice) })
    await store.open()
    process.on('unhandledRejection', onRejection)
  })
  afterEach(async () => {
    process.off('unhandledRejection', onRejection)
    await store.close()
    await rm(folder, { recursive: true })
  })
  const entry = () => ({ value: 'v', endsAt: Date.now() + 60_000 })

  it('rejects entries and leases before the disk is full, reports it once, and recovers automatically', async () => {
    const zone = store.zone('tokens')
    await zone.replace('known', undefined, entry())
    await expect(store.check()).resolves.toBeUndefined()
    free = 200 * 1024
    const full = new StoreFullError(`the disk of ${folder} has 200 KB left`)
    await expect(zone.replace('k', undefined, entry())).rejects.toThrow(full)
    await expect(zone.lease('k', 1_000)).rejects.toThrow(full)
    await expect(store.check()).rejects.toThrow(full)
    expect(store.isFull).toBe(true)
    expect((await zone.get('known'))?.value).toBe('v')
    expect(notices).toEqual([
      `the store is full (the disk of ${folder} has 200 KB left): new entries are rejected until there is room; those in it still apply`,
    ])
    free = ROOM
    expect(await zone.replace('k', undefined, entry())).toBe(true)
    expect(store.isFull).toBe(false)
    expect(notices.slice(1)).toEqual(['the store has room again'])
    expect(rejections).toEqual([])
  })

  it('accepts pinned entries and removals in the reserve, until that is used up', async () => {
    const pinned = store.zone('blocks', { pinned: true })
    const tokens = store.zone('tokens')
    await tokens.replace('k', undefined, entry())
    free = 100 * 1024
    expect(await pinned.replace('k', undefined, entry())).toBe(true)
    await tokens.overrule('k', undefined)
    expect(await tokens.get('k')).toBeUndefined()
    free = 10 * 1024
    await expect(pinned.replace('k2', undefined, entry())).rejects.toThrow(StoreFullError)
    await expect(tokens.clear()).rejects.toThrow(StoreFullError)
    expect((await pinned.get('k'))?.value).toBe('v')
  })

  it('reuses pages in the file that expired entries have freed', async () => {
    const zone = store.zone('tokens')
    const keys = Array.from({ length: 600 }, (_, i) => `key${i}`)
    await Promise.all(
      keys.map((key) => zone.replace(key, undefined, { ...entry(), value: 'x'.repeat(2_000) })),
    )
    free = 200 * 1024
    await expect(zone.replace('k', undefined, entry())).rejects.toThrow(StoreFullError)
    await zone.clear()
    expect(await zone.replace('k', undefined, entry())).toBe(true)
    await expect(store.check()).resolves.toBeUndefined()
  })
})
