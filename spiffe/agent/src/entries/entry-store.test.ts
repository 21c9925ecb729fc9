import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TrustDomain } from '@hallpass/spiffe'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { EntryStore } from './entry-store.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'entries-'))
  file = join(folder, 'entries.yaml')
})
afterEach(() => rm(folder, { recursive: true }))

const open = (name = 'example.org') => EntryStore.open(file, TrustDomain.ofName(name))
const ids = (store: EntryStore) => store.entries.map(({ id }) => id)
const worker = { id: 'worker', spiffeId: 'spiffe://example.org/worker', selectors: ['socket:worker'] }

describe('EntryStore', () => {
  it('writes the default entries to an owner-only file if none exists', async () => {
    expect(ids(await open())).toContain('client')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('writes them also for another trust domain', async () => {
    expect((await open('other.org')).entries[0]?.spiffeId).toBe('spiffe://other.org/server')
  })

  it('adds an entry to the file and keeps its comments', async () => {
    const store = await open()
    await store.add(worker)
    expect(ids(store)).toContain('worker')
    expect(ids(await open())).toContain('worker')
    expect(await readFile(file, 'utf8')).toContain('# The users of the go-spiffe example.')
  })

  it('removes an entry', async () => {
    const store = await open()
    await store.remove('client')
    expect(ids(await open())).not.toContain('client')
  })

  it('revokes and restores an entry', async () => {
    const store = await open()
    const before = await readFile(file, 'utf8')
    await store.setRevoked('client', true)
    expect((await open()).entries.find(({ id }) => id === 'client')?.revoked).toBe(true)
    await store.setRevoked('client', false)
    expect(await readFile(file, 'utf8')).toBe(before)
  })

  it('rejects an invalid entry and leaves the file unchanged', async () => {
    const store = await open()
    const before = await readFile(file, 'utf8')
    await expect(store.add({ ...worker, spiffeId: 'worker' })).rejects.toThrow('scheme is missing or invalid')
    await expect(store.add({ ...worker, id: 'client' })).rejects.toThrow('Entry client already exists.')
    await expect(store.remove('nobody')).rejects.toThrow('Entry nobody not found.')
    expect(await readFile(file, 'utf8')).toBe(before)
  })

  it('reloads a file that was edited by hand, and keeps the last valid entries if the edit is invalid', async () => {
    const store = await open()
    expect(await store.refresh()).toBe(false)
    await writeFile(file, `entries: [${JSON.stringify(worker)}]`)
    expect(await store.refresh()).toBe(true)
    expect(ids(store)).toEqual(['worker'])
    await writeFile(file, 'entries: nobody')
    await expect(store.refresh()).rejects.toThrow('entries must be a list')
    expect(ids(store)).toEqual(['worker'])
    expect(await store.refresh()).toBe(false)
  })
})
