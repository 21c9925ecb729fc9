import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { LmdbStore } from './store.ts'

describe('an lmdb store with a damaged file', () => {
  let folder: string
  let file: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lmdb-damaged-'))
    file = join(folder, 'store/data.mdb')
    const store = new LmdbStore({ folder })
    await store.open()
    for (let n = 0; n < 200; n += 1)
      await store
        .zone('tokens')
        .replace(`key-${n}`, undefined, { value: 'x'.repeat(200), endsAt: Date.now() + 60_000 })
    await store.close()
  })
  afterEach(() => rm(folder, { recursive: true }))

  const opened = () => new LmdbStore({ folder }).open()
  const remedy = () =>
    `Restore ${join(folder, 'store')} from a backup, or delete it and start again: its entries are lost.`

  it.each([
    ['contains something else', async () => writeFile(file, 'garbage'), 'not a token store (lmdb)'],
    [
      'contains random bytes',
      async () => writeFile(file, Buffer.alloc(100_000, 0xa5)),
      'not a token store (lmdb)',
    ],
    [
      'has lost one of its two meta pages',
      async () => {
        const bytes = await readFile(file)
        bytes.fill(0, bytes.readUInt32LE(48), bytes.readUInt32LE(48) + 160)
        await writeFile(file, bytes)
      },
      'a damaged token store (lmdb)',
    ],
  ])('is reported when it %s, where lmdb would crash', async (_what, damage, reason) => {
    await damage()
    await expect(opened()).rejects.toThrow(`${file}: ${reason}. ${remedy()}`)
  })

  it('is reported when it was truncated', async () => {
    await truncate(file, 20_000)
    await expect(opened()).rejects.toThrow(
      /data\.mdb: a token store \(lmdb\) that was truncated: 20000 of \d+ bytes\. /,
    )
  })

  it('is opened when it is empty, as lmdb leaves it briefly', async () => {
    await rm(join(folder, 'store'), { recursive: true })
    const store = new LmdbStore({ folder })
    await store.open()
    await store.close()
  })
})
