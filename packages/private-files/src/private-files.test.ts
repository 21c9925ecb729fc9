import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  ensurePrivateFolder,
  readOrCreatePrivateFile,
  removeLeftParts,
  withFolderLock,
  writePrivateFile,
  writePublicFile,
} from './index.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'private-files-'))
})
afterAll(() => rm(folder, { recursive: true }))

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

describe('writePrivateFile', () => {
  it('creates an owner-only file in owner-only folders', async () => {
    const path = join(folder, 'a/b/key.pem')
    await writePrivateFile(path, 'secret')
    expect(await readFile(path, 'utf8')).toBe('secret')
    expect(await mode(path)).toBe('600')
    expect(await mode(join(folder, 'a/b'))).toBe('700')
  })

  it('replaces the content atomically and leaves no partial file behind', async () => {
    const path = join(folder, 'replaced/key.pem')
    await Promise.all(Array.from({ length: 20 }, (_, i) => writePrivateFile(path, `${i}`.repeat(1000))))
    expect(new Set(await readFile(path, 'utf8')).size).toBeLessThanOrEqual(2)
    expect(await readdir(join(folder, 'replaced'))).toEqual(['key.pem'])
  })

  it('makes a file owner-only that others could read', async () => {
    const path = join(folder, 'narrowed.pem')
    await writePublicFile(path, 'x')
    expect(await mode(path)).toBe('644')
    await writePrivateFile(path, 'y')
    expect(await mode(path)).toBe('600')
  })
})

describe('readOrCreatePrivateFile', () => {
  it('returns the content of the first caller to all concurrent callers', async () => {
    const path = join(folder, 'once/secret')
    let made = 0
    const texts = await Promise.all(
      Array.from({ length: 10 }, () => readOrCreatePrivateFile(path, () => `secret ${made++}`)),
    )
    expect(new Set(texts).size).toBe(1)
    expect(await readdir(join(folder, 'once'))).toEqual(['secret'])
  })
})

describe('withFolderLock', () => {
  it('runs callers one after the other', async () => {
    const locked = join(folder, 'locked')
    await ensurePrivateFolder(locked)
    let inside = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 5 }, () =>
        withFolderLock(locked, async () => {
          most = Math.max(most, ++inside)
          await new Promise((resolve) => setImmediate(resolve))
          inside -= 1
        }),
      ),
    )
    expect(most).toBe(1)
    expect(await readdir(locked)).toEqual([])
  })

  it('is released after a failure', async () => {
    const locked = join(folder, 'failed')
    await expect(withFolderLock(locked, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await withFolderLock(locked, async () => 'yes')).toBe('yes')
  })
})

describe('removeLeftParts', () => {
  it('removes what killed processes have left, and no file that may still be written', async () => {
    const parts = join(folder, 'parts')
    await mkdir(parts)
    const ofDead = 'key.pem.999999999.0a1b2c3d.part'
    const ofLiving = `key.pem.${process.pid}.0a1b2c3d.part`
    const old = `old.pem.${process.pid}.0a1b2c3d.part`
    for (const name of [ofDead, ofLiving, old, 'key.pem']) await writeFile(join(parts, name), 'secret')
    await utimes(join(parts, old), 1, 1)
    expect((await removeLeftParts(parts)).sort()).toEqual([ofDead, old])
    expect((await readdir(parts)).sort()).toEqual(['key.pem', ofLiving])
    expect(await removeLeftParts(join(folder, 'missing'))).toEqual([])
  })
})
