import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  asStateFileError,
  checkStateVersion,
  claimStateVersion,
  ensurePrivateFolder,
  parseStateFile,
  readIfThere,
  readOrCreateSecret,
  readPresent,
  StateFileError,
  withShortSocketPath,
  writePrivateFile,
} from './index.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'state-files-'))
})
afterAll(() => rm(folder, { recursive: true }))

const failureOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(StateFileError)
  return (error as StateFileError).message
}

describe('an unusable state file', () => {
  it('is reported in one line with its path, the cause and the fix', async () => {
    const file = join(folder, 'file')
    await writeFile(file, 'x')
    await mkdir(join(folder, 'a-folder'))
    expect(await failureOf(ensurePrivateFolder(join(file, 'below')))).toBe(
      `${join(file, 'below')}: part of the path is a file, not a folder. Move that file away, or set STATE_FOLDER to another folder.`,
    )
    expect(await failureOf(ensurePrivateFolder(file))).toContain(
      `${file}: a file exists where a folder is expected. `,
    )
    expect(await failureOf(readIfThere(join(folder, 'a-folder')))).toContain(
      'a folder exists where a file is expected',
    )
    expect(await failureOf(readPresent(join(folder, 'missing')))).toContain('missing: not found. ')
    expect(await failureOf(writePrivateFile(join(file, 'key.pem'), 'x'))).toContain(`${file}`)
  })

  it.each([
    ['EACCES', 'no permission'],
    ['EROFS', 'the file system is read-only'],
    ['ENOSPC', 'no space left on the disk'],
  ])('is recognized by the system error %s', (code, reason) => {
    const error = Object.assign(new Error(code), { code, path: '/state/keys/a.pem.123.0a1b2c3d.part' })
    expect(asStateFileError('/state', error)).toMatchObject({ file: '/state/keys/a.pem', reason })
  })

  it('is not reported for other errors', () => {
    const error = new TypeError('a bug')
    expect(asStateFileError('/state', error)).toBe(error)
  })

  it('is reported when its content is invalid, without any of the content', () => {
    const parse = () => parseStateFile('/state/keys.json', '{"d":"secret', 'a set of keys', JSON.parse)
    expect(parse).toThrow(StateFileError)
    expect(parse).toThrow(
      '/state/keys.json: not a set of keys. Restore it, or delete it and start again: a new one is created.',
    )
    expect(() => parseStateFile('/f', ' \n', 'a key', JSON.parse)).toThrow('/f: empty. ')
  })
})

describe('readOrCreateSecret', () => {
  it('creates a secret once, and rejects one that is too short', async () => {
    const file = join(folder, 'secret')
    expect(await readOrCreateSecret(file, () => 'x'.repeat(43))).toBe('x'.repeat(43))
    await writeFile(file, 'short\n')
    expect(await failureOf(readOrCreateSecret(file, () => ''))).toContain(
      `${file}: not a secret of at least 22 printable characters. `,
    )
  })
})

describe('the version of a state folder', () => {
  it('is written once and accepted by the same release', async () => {
    const state = join(folder, 'of-this-release')
    expect(await checkStateVersion(state)).toBeUndefined()
    await claimStateVersion(state)
    await claimStateVersion(state)
    expect(await checkStateVersion(state)).toBe(1)
  })

  it.each([
    ['0', 'made by an older release (state version 0, this release uses 1). To keep the state'],
    ['2', 'made by a newer release (state version 2, this release uses 1). Start that release'],
    ['one', 'not a version number. Restore it (this release writes 1), or delete the state: npm run clean'],
  ])('is rejected when it is %s', async (version, message) => {
    const state = join(folder, `version-${version}`)
    await mkdir(state)
    await writeFile(join(state, 'version'), version)
    expect(await failureOf(claimStateVersion(state))).toContain(message)
  })
})

describe('withShortSocketPath', () => {
  it('binds and connects a socket whose path is too long, and leaves no link behind', async () => {
    const deep = join(folder, ...Array.from({ length: 12 }, (_, i) => `a-long-folder-name-${i}`))
    await mkdir(deep, { recursive: true })
    const socket = join(deep, 'suite.sock')
    const links = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('hp-'))
    const before = await links()
    const server = net.createServer((connection) => connection.end('hello'))
    await withShortSocketPath(socket, (path) => new Promise<void>((done) => server.listen(path, done)))
    try {
      await chmod(socket, 0o600)
      expect((await stat(socket)).isSocket()).toBe(true)
      const heard = await withShortSocketPath(
        socket,
        (path) =>
          new Promise((resolve, reject) =>
            net
              .connect(path)
              .once('data', (data) => resolve(String(data)))
              .once('error', reject),
          ),
      )
      expect(heard).toBe('hello')
      expect(await links()).toEqual(before)
    } finally {
      await new Promise((done) => server.close(done))
    }
  })
})
