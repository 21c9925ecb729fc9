import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseJwks, signToken, staticKeys, verifyToken } from '@hallpass/tokens'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ensureExampleKeys } from './example-keys.ts'

let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'example-keys-')), 'sse')
})
afterEach(() => rm(join(folder, '..'), { recursive: true }))

describe('ensureExampleKeys', () => {
  it('creates an RS256 and an ES256 key, and publishes their public keys', async () => {
    const { rs256, es256, jwksFile } = await ensureExampleKeys(folder)
    const keys = parseJwks(JSON.parse(await readFile(jwksFile, 'utf8')))
    expect(keys.map(({ kid, alg }) => [kid, alg])).toEqual([
      ['example', 'RS256'],
      ['example_ec', 'ES256'],
    ])
    for (const key of [rs256, es256]) {
      const token = await signToken({ iss: 'i', aud: 'a', sub: 's' }, key, { lifetimeSeconds: 5 })
      const rules = { issuer: 'i', audience: 'a', subject: 's', maxLifetimeSeconds: 5 }
      await expect(verifyToken(token, { ...rules, keys: staticKeys('i', keys) })).resolves.toBeTruthy()
    }
  })

  it('stores the private keys owner-only, under the documented name', async () => {
    await ensureExampleKeys(folder)
    for (const file of ['private.pem', 'private-ec.pem'])
      expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    expect(await readFile(join(folder, 'private.pem'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/)
  })

  it('creates them once, even for concurrent calls', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => ensureExampleKeys(folder)))
    const [first] = all
    for (const { rs256, es256 } of all) {
      expect(rs256.publicKey.equals(first?.rs256.publicKey as never)).toBe(true)
      expect(es256.publicKey.equals(first?.es256.publicKey as never)).toBe(true)
    }
  })
})
