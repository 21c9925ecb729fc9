import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { parseCompact, parseJwks } from '@hallpass/tokens'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { SigningKeys } from './signing-keys.ts'

let stateFolder: string
let clock: ManualClock
const made: SigningKeys[] = []
beforeEach(async () => {
  stateFolder = await mkdtemp(join(tmpdir(), 'signing-keys-'))
  clock = new ManualClock()
})
afterEach(async () => {
  for (const keys of made.splice(0)) keys.stop()
  await rm(stateFolder, { recursive: true })
})

function newKeys() {
  const keys = new SigningKeys({
    stateFolder,
    privateKeyFile: join(stateFolder, 'own/jwt-private.pem'),
    tokenLifetimeSeconds: 30,
    clock: clock.now,
  })
  made.push(keys)
  return keys
}
const published = async () =>
  parseJwks(JSON.parse(await readFile(join(stateFolder, 'scenario-3-keys/jwks.json'), 'utf8'))).map(
    ({ kid }) => kid,
  )
const kidOf = async (keys: SigningKeys) =>
  parseCompact(await keys.sign('serviceb', { expired: false })).header.kid

describe('SigningKeys', () => {
  it('reports missing keys', async () => {
    const keys = newKeys()
    await keys.load()
    await expect(keys.sign('serviceb', { expired: false })).rejects.toMatchObject({
      status: 503,
      code: 'keys_missing',
    })
  })

  it('names a file that is corrupt', async () => {
    await newKeys().rotate()
    const own = join(stateFolder, 'own/jwt-private.pem')
    const set = join(stateFolder, 'scenario-3-keys/jwks.json')
    await writeFile(set, '{"keys":7}')
    await expect(newKeys().load()).rejects.toThrow(`${set}: not a valid JWKS. Restore it, or delete it`)
    await writeFile(own, '-----BEGIN PRIVATE KEY-----')
    await expect(newKeys().load()).rejects.toThrow(
      `${own}: not an RSA private key in PEM format. Restore it, or`,
    )
  })

  it('signs with the key of an earlier run', async () => {
    const before = newKeys()
    await before.rotate()
    const after = newKeys()
    await after.load()
    expect(await kidOf(after)).toBe(await kidOf(before))
  })

  it('writes the private key to the configured file only', async () => {
    await newKeys().rotate()
    expect(await readdir(join(stateFolder, 'own'))).toEqual(['jwt-private.pem'])
    const published = join(stateFolder, 'scenario-3-keys')
    expect((await readdir(published)).sort()).toEqual(['jwks.json', 'jwt-public.pem'])
    for (const name of await readdir(published))
      expect(await readFile(join(published, name), 'utf8')).not.toMatch(/PRIVATE|"d":/)
  })

  it('removes an old key once its last token has expired on the slowest clock', async () => {
    const keys = newKeys()
    await keys.rotate()
    const first = await kidOf(keys)
    await keys.rotate()
    clock.advance(39_000)
    await keys.rotate()
    expect(await published()).toHaveLength(3)
    clock.advance(1_000)
    await keys.rotate()
    expect(await published()).toHaveLength(3)
    expect(await published()).not.toContain(first)
  })

  it('keeps the old keys found after a restart for the lifetime of their tokens', async () => {
    const before = newKeys()
    await before.rotate()
    const first = await kidOf(before)
    await before.rotate()
    const after = newKeys()
    await after.load()
    expect(await published()).toContain(first)
    clock.advance(40_000)
    await after.rotate()
    expect(await published()).not.toContain(first)
  })

  it('runs concurrent rotations one after another', async () => {
    const keys = newKeys()
    await Promise.all([keys.rotate(), keys.rotate(), keys.rotate()])
    expect(await published()).toHaveLength(3)
    expect(await published()).toContain(await kidOf(keys))
  })

  it('keeps using the old key if the new one cannot be saved', async () => {
    const keys = newKeys()
    await keys.rotate()
    const kid = await kidOf(keys)
    await rm(join(stateFolder, 'scenario-3-keys'), { recursive: true })
    await writeFile(join(stateFolder, 'scenario-3-keys'), 'in the way')
    await expect(keys.rotate()).rejects.toThrow()
    expect(await kidOf(keys)).toBe(kid)
    await rm(join(stateFolder, 'scenario-3-keys'))
    await mkdir(join(stateFolder, 'scenario-3-keys'))
    await keys.rotate()
    expect(await kidOf(keys)).not.toBe(kid)
  })
})
