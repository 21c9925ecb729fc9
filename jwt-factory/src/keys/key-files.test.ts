import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { localKeyEncryption, wrappedSigners } from '@hallpass/signers'
import { type Algorithm, exportPrivatePem, exportPublicPem } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { useFolder, useStore } from '../testing.ts'
import { KeyFiles } from './key-files.ts'
import { KeyStore } from './key-store.ts'

const parent = useFolder()
const clock = new ManualClock()
const shared = useStore(clock.now)
const signers = wrappedSigners(localKeyEncryption([randomBytes(32)]))
const running: KeyStore[] = []
let folder: string
let lines: string[]
let test = 0
beforeEach(() => {
  folder = join(parent.path, `keys-${test++}`)
  lines = []
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((keys) => keys.stop()))
})

/** Opens a store that knows nothing, as after an upgrade or a loss. */
async function newStore({ algorithm = 'ES256' as Algorithm, ours = signers as never } = {}) {
  const zone = (await shared.open(`${test}-${running.length}`)).zone('keys', { pinned: true })
  const keys = new KeyStore({
    zone,
    signers: ours,
    algorithm,
    clock: clock.now,
    retiredForMs: 3_600_000,
    onFailure: (error) => {
      throw error
    },
  })
  await keys.start()
  running.push(keys)
  return keys
}
const newFiles = ({ algorithm = 'ES256' as Algorithm, ours = signers as never } = {}) => {
  const log = createLog('test', 'info', { write: (line) => void lines.push(line) })
  return new KeyFiles({ folder, algorithm, signers: ours, retiredForMs: 3_600_000, clock: clock.now, log })
}
/** Imports the files into a store that knows nothing. */
const imported = async (options: Parameters<typeof newStore>[0] = {}) => {
  const store = await newStore(options)
  await newFiles(options).load(store)
  return store
}
const warnings = () =>
  lines
    .map((line) => JSON.parse(line))
    .filter(({ level }) => level !== 'info' && level !== 30)
    .map(({ file, msg }) => `${file}: ${msg}`)

/** Returns a store whose only key ID has a key in each state. */
async function storeWithEveryState() {
  const store = await newStore()
  await store.getOrCreate('servicea')
  await store.rotate('servicea')
  return { store, ring: await store.publishNext('servicea') }
}

describe('KeyFiles', () => {
  it('restores every key into an empty store, in its state', async () => {
    const { store, ring } = await storeWithEveryState()
    await newFiles().save(store)
    const back = await (await imported()).existing('servicea')
    expect(back.signing.kid).toBe(ring.signing.kid)
    expect(back.next?.kid).toBe(ring.next?.kid)
    const now = clock.now()
    expect(back.retired(now).map(({ kid }) => kid)).toEqual(ring.retired(now).map(({ kid }) => kid))
    expect(back.retired(now + 3_606_000)).toEqual([])
    expect(warnings()).toEqual([])
  })

  it('makes all files owner-only, and no private file of a retired key', async () => {
    const { store } = await storeWithEveryState()
    await newFiles().save(store)
    const files = await readdir(folder)
    expect(files.map((file) => file.replace(/-\d{10}-.{22}/, '')).sort()).toEqual([
      'servicea-private.pem',
      'servicea-public.pem',
      'servicea.next-private.pem',
      'servicea.next-public.pem',
      'servicea.retired-public.pem',
    ])
    for (const file of files) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
  })

  it('imports no private key that other users can read, and does not quote it', async () => {
    const { store } = await storeWithEveryState()
    await newFiles().save(store)
    const file = join(folder, 'servicea-private.pem')
    await chmod(file, 0o644)
    const error = await imported().catch((refusal: unknown) => refusal)
    expect(error).toMatchObject({ name: 'StateFileError', file })
    expect((error as Error).message).toContain('other users have access to it (mode 0644). Run: chmod 600')
    expect((error as Error).message).not.toContain('PRIVATE KEY')
  })

  it('removes only the files of removed and withdrawn keys', async () => {
    const { store } = await storeWithEveryState()
    const files = newFiles()
    await files.save(store)
    await writeFile(join(folder, 'notes.txt'), 'mine')
    clock.advance(3_606_000)
    await files.save(store)
    expect((await readdir(folder)).filter((file) => file.includes('retired'))).toEqual([])
    expect(await readdir(folder)).toContain('notes.txt')
    const before = await readFile(join(folder, 'servicea-private.pem'), 'utf8')
    await store.withdraw('servicea', 'all')
    await files.save(store)
    expect((await readdir(folder)).sort()).toEqual([
      'notes.txt',
      'servicea-private.pem',
      'servicea-public.pem',
    ])
    expect(await readFile(join(folder, 'servicea-private.pem'), 'utf8')).not.toBe(before)
  })

  it('writes concurrent dumps one after the other', async () => {
    const { store } = await storeWithEveryState()
    const files = newFiles()
    await Promise.all([
      files.save(store),
      store.rotate('servicea').then(() => files.save(store)),
      files.save(store),
    ])
    const back = await (await imported()).existing('servicea')
    expect(back.signing.kid).toBe((await store.existing('servicea')).signing.kid)
  })

  it('distinguishes key IDs that look like file names', async () => {
    const store = await newStore()
    const ids = ['a', 'a-public', 'a-private', 'a-private-public', '-', 'next', 'retired-1']
    for (const id of ids) await store.getOrCreate(id)
    await newFiles().save(store)
    const back = await imported()
    expect(back.keyIds).toEqual([...ids].sort())
    for (const id of ids)
      expect((await back.existing(id)).signing.kid).toBe((await store.existing(id)).signing.kid)
  })

  it('ignores files that are not keys, and logs them', async () => {
    const store = await newStore()
    await store.getOrCreate('servicea')
    await newFiles().save(store)
    await writeFile(join(folder, 'README'), 'x')
    await writeFile(join(folder, 'dots.and-more-private.pem'), 'x')
    await mkdir(join(folder, 'folder-private.pem'))
    expect((await imported()).keyIds).toEqual(['servicea'])
    expect(warnings().sort()).toEqual([
      'README: not a key file; ignored',
      'dots.and-more-private.pem: not a key file; ignored',
      'folder-private.pem: not a key file; ignored',
    ])
  })

  it('ignores half a pair, and logs it', async () => {
    const store = await newStore()
    await store.getOrCreate('servicea')
    await store.getOrCreate('serviceb')
    await newFiles().save(store)
    await rm(join(folder, 'servicea-public.pem'))
    await rm(join(folder, 'serviceb-private.pem'))
    expect((await imported()).keyIds).toEqual([])
    expect(warnings()).toEqual(
      expect.arrayContaining([
        'servicea-private.pem: the other half of this key is missing; ignored',
        'serviceb-public.pem: the other half of this key is missing; ignored',
      ]),
    )
  })

  it('uses the private key when the public one does not match, and logs it', async () => {
    const store = await newStore()
    await store.getOrCreate('servicea')
    await store.getOrCreate('serviceb')
    await newFiles().save(store)
    await rename(join(folder, 'serviceb-public.pem'), join(folder, 'servicea-public.pem'))
    const back = await (await imported()).existing('servicea')
    expect(back.signing.kid).toBe((await store.existing('servicea')).signing.kid)
    expect(warnings()).toContain(
      'servicea-public.pem: does not match its private key; the private key is used',
    )
  })

  it('throws for an invalid key, with the file name but not its content', async () => {
    await mkdir(folder, { recursive: true })
    const pem = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n'
    await writeFile(join(folder, 'servicea-private.pem'), pem, { mode: 0o600 })
    await writeFile(join(folder, 'servicea-public.pem'), exportPublicPem(testKey('ES256', 'some')))
    await expect(imported()).rejects.toThrow(
      `${join(folder, 'servicea-private.pem')}: not a private key for RS256, PS256, ES256, EdDSA as PEM. Restore it, or delete it and start again: ` +
        'a new key is created, and tokens signed with this one are rejected.',
    )
  })

  it('creates a missing folder and loads nothing', async () => {
    expect((await imported()).keyIds).toEqual([])
    expect(await readFile(folder).catch(({ code }) => code)).toBe('EISDIR')
  })

  it('never replaces a key of the store, and never brings back a withdrawn one', async () => {
    const { store } = await storeWithEveryState()
    await newFiles().save(store)
    const ring = await store.withdraw('servicea', 'all')
    await newFiles().load(store)
    expect((await store.existing('servicea')).print()).toBe(ring.print())
    expect(warnings()).toEqual(
      expect.arrayContaining(['servicea-private.pem: this key was withdrawn; ignored']),
    )
    const stranger = testKey('ES256', 'stranger')
    await writeFile(join(folder, 'servicea-private.pem'), exportPrivatePem(stranger), { mode: 0o600 })
    await writeFile(join(folder, 'servicea-public.pem'), exportPublicPem(stranger))
    lines = []
    await newFiles().load(store)
    expect((await store.existing('servicea')).print()).toBe(ring.print())
    expect(warnings()).toContain('servicea-private.pem: the store has other keys for this key ID; ignored')
  })

  it('imports the pairs of earlier releases: retired private halves, and keys of another algorithm', async () => {
    await mkdir(folder, { recursive: true })
    const until = Math.floor(clock.now() / 1000) + 60
    const names = {
      servicea: testKey('RS256', 'signing'),
      'servicea.next': testKey('ES256', 'next'),
      [`servicea.retired-${until}-${'x'.repeat(22)}`]: testKey('EdDSA', 'retired'),
    }
    for (const [name, key] of Object.entries(names)) {
      await writeFile(join(folder, `${name}-private.pem`), exportPrivatePem(key), { mode: 0o600 })
      await writeFile(join(folder, `${name}-public.pem`), exportPublicPem(key))
    }
    const store = await imported({ algorithm: 'EdDSA' })
    const ring = await store.existing('servicea')
    expect(ring.states(clock.now()).map(({ alg, state }) => [state, alg])).toEqual([
      ['published', 'ES256'],
      ['signing', 'RS256'],
      ['retired', 'EdDSA'],
    ])
    expect(ring.retired(clock.now())[0]?.stored.untilMs).toBe(until * 1000)
    expect(ring.print()).not.toContain('PRIVATE')
    await store.sign('servicea', {}, { lifetimeSeconds: 60 })
    expect(warnings()).toEqual([])
  })

  it('keeps a saved key for verification when private keys are kept outside, and another one signs', async () => {
    const store = await newStore()
    const { signing } = await store.getOrCreate('servicea')
    await newFiles().save(store)
    const outside = {
      kind: 'pkcs11',
      create: (...args: Parameters<typeof signers.create>) => signers.create(...args),
    } as never
    const ring = await (await imported({ ours: outside })).existing('servicea')
    expect(ring.signing.kid).not.toBe(signing.kid)
    expect(ring.find(signing.kid, clock.now())?.state).toBe('retired')
  })

  it('removes what a killed process left of a private key', async () => {
    await mkdir(folder, { recursive: true })
    const left = [
      'servicea-private.pem.999999999.0a1b2c3d.part',
      'serviceb-public.pem.999999999.0a1b2c3d.part',
    ]
    for (const file of left) await writeFile(join(folder, file), 'secret')
    const writing = `servicec-private.pem.${process.pid}.0a1b2c3d.part`
    await writeFile(join(folder, writing), 'being written')
    await imported()
    expect(await readdir(folder)).toEqual([writing])
    expect(warnings()).toEqual(
      expect.arrayContaining(left.map((file) => `${file}: the rest of an interrupted write; removed`)),
    )
  })

  it('updates the files of a key ID that was saved, and writes no others', async () => {
    const store = await newStore()
    const files = newFiles()
    await files.update(store, await store.getOrCreate('servicea'))
    expect(await readdir(folder).catch(({ code }) => code)).toBe('ENOENT')
    await files.save(store)
    await files.update(store, await store.rotate('servicea'))
    expect((await readdir(folder)).some((file) => file.includes('.retired-'))).toBe(true)
    await files.update(store, await store.getOrCreate('serviceb'))
    expect((await readdir(folder)).some((file) => file.startsWith('serviceb'))).toBe(false)
  })
})
