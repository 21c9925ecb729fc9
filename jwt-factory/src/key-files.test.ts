import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { KeyFiles } from './key-files.ts'
import { KeyStore } from './key-store.ts'
import { useFolder } from './testing.ts'

const parent = useFolder()
let folder: string
let clock: ManualClock
let lines: string[]
let test = 0
beforeEach(() => {
  folder = join(parent.path, `keys-${test++}`)
  clock = new ManualClock()
  lines = []
})

const newStore = () =>
  new KeyStore({
    algorithm: 'ES256',
    clock: clock.now,
    onFailure: (error) => {
      throw error
    },
  })
const newFiles = () => {
  const log = createLog('test', 'info', { write: (line) => void lines.push(line) })
  return new KeyFiles({ folder, algorithm: 'ES256', tokenLifetimeSeconds: 3600, clock: clock.now, log })
}
const restarted = async () => {
  const store = newStore()
  await newFiles().load(store)
  return store
}
const warnings = () => lines.map((line) => JSON.parse(line)).map(({ file, msg }) => `${file}: ${msg}`)

/** Returns a store whose only key ID has a key in each state. */
async function storeWithEveryState() {
  const store = newStore()
  const ring = await store.getOrCreate('servicea')
  await ring.sign({}, 3600)
  await store.createOrRotate('servicea')
  // The next key is made on the thread pool, which a busy machine may keep waiting.
  for (const until = performance.now() + 4_000; ring.next === undefined && performance.now() < until; )
    await new Promise((resolve) => setTimeout(resolve, 1))
  return { store, ring }
}

describe('KeyFiles', () => {
  it('restores every key after a restart, in its state', async () => {
    const { store, ring } = await storeWithEveryState()
    await newFiles().save(store)
    const back = (await restarted()).get('servicea')
    expect(back?.signing.kid).toBe(ring.signing.kid)
    expect(back?.next?.kid).toBe(ring.next?.kid)
    expect(back?.retired.map(({ key }) => key.kid)).toEqual(ring.retired.map(({ key }) => key.kid))
    clock.advance(3600_000)
    expect(back?.retired).toEqual([])
    expect(lines).toEqual([])
  })

  it('makes all files owner-only', async () => {
    const { store } = await storeWithEveryState()
    await newFiles().save(store)
    const files = await readdir(folder)
    expect(files).toHaveLength(6)
    for (const file of files) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
  })

  it('removes only the files of removed keys', async () => {
    const { store } = await storeWithEveryState()
    const files = newFiles()
    await files.save(store)
    await writeFile(join(folder, 'notes.txt'), 'mine')
    clock.advance(3600_000)
    await files.save(store)
    expect((await readdir(folder)).filter((file) => file.includes('retired'))).toEqual([])
    expect(await readdir(folder)).toContain('notes.txt')
  })

  it('writes concurrent dumps one after the other', async () => {
    const { store } = await storeWithEveryState()
    const files = newFiles()
    await Promise.all([
      files.save(store),
      store.createOrRotate('servicea').then(() => files.save(store)),
      files.save(store),
    ])
    expect((await restarted()).get('servicea')?.signing.kid).toBe(store.get('servicea')?.signing.kid)
  })

  it('distinguishes key IDs that look like file names', async () => {
    const store = newStore()
    const ids = ['a', 'a-public', 'a-private', 'a-private-public', '-', 'next', 'retired-1']
    for (const id of ids) await store.getOrCreate(id)
    await newFiles().save(store)
    const back = await restarted()
    expect(back.keyIds).toEqual([...ids].sort())
    for (const id of ids) expect(back.get(id)?.signing.kid).toBe(store.get(id)?.signing.kid)
  })

  it('ignores files that are not keys, and logs them', async () => {
    const store = newStore()
    await store.getOrCreate('servicea')
    await newFiles().save(store)
    await writeFile(join(folder, 'README'), 'x')
    await writeFile(join(folder, 'dots.and-more-private.pem'), 'x')
    await mkdir(join(folder, 'folder-private.pem'))
    expect((await restarted()).keyIds).toEqual(['servicea'])
    expect(warnings().sort()).toEqual([
      'README: not a key file; ignored',
      'dots.and-more-private.pem: not a key file; ignored',
      'folder-private.pem: not a key file; ignored',
    ])
  })

  it('ignores half a pair, and logs it', async () => {
    const store = newStore()
    await store.getOrCreate('servicea')
    await store.getOrCreate('serviceb')
    await newFiles().save(store)
    await rm(join(folder, 'servicea-public.pem'))
    await rm(join(folder, 'serviceb-private.pem'))
    expect((await restarted()).keyIds).toEqual([])
    expect(warnings()).toEqual(
      expect.arrayContaining([
        'servicea-private.pem: the other half of this key is missing; ignored',
        'serviceb-public.pem: the other half of this key is missing; ignored',
      ]),
    )
  })

  it('uses the private key when the public one does not match, and logs it', async () => {
    const store = newStore()
    await store.getOrCreate('servicea')
    await store.getOrCreate('serviceb')
    await newFiles().save(store)
    await rename(join(folder, 'serviceb-public.pem'), join(folder, 'servicea-public.pem'))
    const back = await restarted()
    expect(back.get('servicea')?.signing.kid).toBe(store.get('servicea')?.signing.kid)
    expect(warnings()).toContain(
      'servicea-public.pem: does not match its private key; the private key is used',
    )
  })

  it('throws for an invalid key, with the file name but not its content', async () => {
    await mkdir(folder, { recursive: true })
    const pem = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n'
    for (const half of ['private', 'public']) await writeFile(join(folder, `servicea-${half}.pem`), pem)
    await expect(restarted()).rejects.toThrow(
      `${join(folder, 'servicea-private.pem')}: not a private key for ES256 as PEM. Restore it, or delete it and start again: ` +
        'a new key is created, and tokens signed with this one are rejected.',
    )
  })

  it('creates a missing folder and loads nothing', async () => {
    expect((await restarted()).keyIds).toEqual([])
    expect(await readFile(folder).catch(({ code }) => code)).toBe('EISDIR')
  })
})
