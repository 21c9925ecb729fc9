import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ALGORITHMS } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { keyEncryptionFromFile, wrappedSigners } from './index.ts'
import { signersContract } from './testing/contract.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-wrapped-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** 32 bytes in base64. */
const KEY = `${'A'.repeat(43)}=`
const OTHER_KEY = `${'B'.repeat(42)}A=`

async function keyFile(name: string, text: string, mode = 0o600) {
  const path = join(folder, name)
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}

describe('wrapped keys', () => {
  signersContract(
    async () => ({
      config: { signer: 'wrapped', keyEncryption: { file: join(folder, 'contract.key'), create: true } },
      environment: {},
      algorithms: ALGORITHMS,
      unknownReference: `wrapped:${Buffer.alloc(100, 1).toString('base64url')}`,
      end: async () => {},
    }),
    ALGORITHMS,
  )

  it('open only for their own kid and algorithm, and only undamaged', async () => {
    const signers = wrappedSigners(await keyEncryptionFromFile(await keyFile('bound', KEY)))
    const { reference } = await signers.importKey(await testKey('ES256', 'a-kid'))
    const damaged = {
      name: 'KeyError',
      reason: 'invalid_key',
      message: expect.stringContaining('damaged, or belongs'),
    }
    await expect(signers.open(reference, 'ES256', 'b-kid')).rejects.toMatchObject(damaged)
    await expect(signers.open(reference, 'EdDSA', 'a-kid')).rejects.toMatchObject(damaged)
    const bytes = Buffer.from(reference.slice('wrapped:'.length), 'base64url')
    for (const index of [10, 25, 40, bytes.length - 1]) {
      const changed = Buffer.from(bytes)
      changed[index] = (changed[index] as number) ^ 1
      await expect(
        signers.open(`wrapped:${changed.toString('base64url')}`, 'ES256', 'a-kid'),
      ).rejects.toMatchObject(damaged)
    }
    for (const length of [1, 8, 9, 30, 37])
      await expect(
        signers.open(`wrapped:${bytes.subarray(0, length).toString('base64url')}`, 'ES256', 'a-kid'),
      ).rejects.toMatchObject({ name: 'KeyError', reason: 'invalid_key' })
    expect(await signers.open(reference, 'ES256', 'a-kid')).toMatchObject({ kid: 'a-kid', alg: 'ES256' })
  })

  it('are never the same bytes twice', async () => {
    const signers = wrappedSigners(await keyEncryptionFromFile(await keyFile('twice', KEY)))
    const key = await testKey('ES256', 'a-kid')
    expect((await signers.importKey(key)).reference).not.toBe((await signers.importKey(key)).reference)
  })
})

describe('a key-encryption key', () => {
  it('is made once, for the owner only, by the first of several processes', async () => {
    const path = join(folder, 'made/key-encryption.key')
    const [first, second] = await Promise.all([1, 2].map(() => keyEncryptionFromFile(path, { create: true })))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, 'utf8')).toMatch(/^[\w+/]{43}=\n$/)
    const wrapped = await first?.wrap(Buffer.from('x'), { a: '1', b: '2' })
    expect(await second?.unwrap(wrapped as Uint8Array, { b: '2', a: '1' })).toEqual(Buffer.from('x'))
  })

  it('is replaced by a new first line, while the old one still decrypts', async () => {
    const old = await keyEncryptionFromFile(await keyFile('old', `${KEY}\n`))
    const both = await keyEncryptionFromFile(await keyFile('both', `${OTHER_KEY}\n${KEY}\n`))
    const fresh = await keyEncryptionFromFile(await keyFile('fresh', `${OTHER_KEY}\n`))
    const context = { kid: 'a' }
    expect(await both.unwrap(await old.wrap(Buffer.from('x'), context), context)).toEqual(Buffer.from('x'))
    expect(await fresh.unwrap(await both.wrap(Buffer.from('x'), context), context)).toEqual(Buffer.from('x'))
    await expect(fresh.unwrap(await old.wrap(Buffer.from('x'), context), context)).rejects.toMatchObject({
      name: 'KeyError',
      reason: 'invalid_key',
      message: expect.stringMatching(
        /^The key is wrapped under key-encryption key [0-9a-f]{16}, which is not in KEY_ENCRYPTION_KEY_FILE\. Add it there as a line, or rotate the key\.$/,
      ),
    })
  })

  it.each([
    ['empty', ''],
    ['short', 'c2hvcnQ=\n'],
    ['not base64', `${'!'.repeat(44)}\n`],
    ['base64 with other bits at its end', `${'A'.repeat(42)}B=\n`],
    ['one good line and one bad', `${KEY}\nx\n`],
  ])('is rejected if it is %s', async (name, text) => {
    const path = await keyFile(name.replaceAll(' ', '-'), text)
    await expect(keyEncryptionFromFile(path)).rejects.toMatchObject({
      name: 'StateFileError',
      message: `${path}: not a key-encryption key. Restore it from your backup: without it, keys that are stored cannot sign. Each line is 32 random bytes in base64 (openssl rand -base64 32)`,
    })
  })

  it.each(['640', '604', '660'])('is rejected with mode %s', async (mode) => {
    const path = await keyFile(`mode-${mode}`, KEY, Number.parseInt(mode, 8))
    await expect(keyEncryptionFromFile(path)).rejects.toMatchObject({
      name: 'StateFileError',
      message: expect.stringContaining(
        `${path}: other users have access to it (mode 0${mode}). Run: chmod 600 ${path}`,
      ),
    })
  })

  it('is not made if it must be there', async () => {
    await expect(keyEncryptionFromFile(join(folder, 'absent'))).rejects.toMatchObject({
      name: 'StateFileError',
      reason: 'not found',
    })
  })
})
