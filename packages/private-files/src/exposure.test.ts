import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { assertPrivate, explainExposure, explainTampering } from './exposure.ts'
import { readOrCreatePrivateFile } from './private-files.ts'

describe('explainExposure', () => {
  const REGULAR = 0o100000
  const problem = (mode: number, uid: number, self: number) =>
    explainExposure('/k', { mode: REGULAR | mode, uid }, self)

  it.each([
    ['0600 of this user', 0o600, 1000, 1000],
    ['0400 of this user', 0o400, 1000, 1000],
    ['0440 of root, as of a Kubernetes secret with an fsGroup', 0o440, 0, 1000],
    ['0640 of root', 0o640, 0, 1000],
    ['0600 of root, read by root', 0o600, 0, 0],
  ])('accepts %s', (_what, mode, uid, self) => expect(problem(mode, uid, self)).toBeUndefined())

  it.each([
    ['0640 of this user', 0o640, 1000, 1000, 'mode 0640'],
    ['0604 of this user', 0o604, 1000, 1000, 'mode 0604'],
    ['0620 of this user', 0o620, 1000, 1000, 'mode 0620'],
    ['0444 of root', 0o444, 0, 1000, 'mode 0444'],
    ['0660 of root', 0o660, 0, 1000, 'mode 0660'],
    ['0640 of root, read by root', 0o640, 0, 0, 'mode 0640'],
  ])('rejects %s', (_what, mode, uid, self, named) => {
    expect(problem(mode, uid, self)).toEqual({
      reason: expect.stringContaining(named),
      remedy: expect.stringMatching(/^Run: chmod 600 \/k /),
    })
  })

  it('rejects a file of another user, whatever its mode', () => {
    expect(problem(0o600, 1001, 1000)).toEqual({
      reason: 'belongs to the user with the ID 1001, who can replace it, not to this one (1000)',
      remedy: 'Run: chown 1000 /k',
    })
    expect(problem(0o600, 1001, 0)?.remedy).toBe('Run: chown 0 /k')
  })
})

describe('explainTampering', () => {
  it('accepts a public file unless any user can write it', () => {
    for (const mode of [0o644, 0o664, 0o600]) expect(explainTampering('/f', { mode })).toBeUndefined()
    for (const mode of [0o666, 0o622, 0o777])
      expect(explainTampering('/f', { mode })).toEqual({
        reason: 'any user of this machine can change it',
        remedy: 'Run: chmod o-w /f',
      })
  })
})

describe('a secret in a file', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'exposure-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('is not read if others can read it, also through a link; the message names file and fix', async () => {
    const path = join(folder, 'secret')
    await writeFile(path, 'a secret', { mode: 0o600 })
    await symlink(path, join(folder, 'link'))
    await assertPrivate(join(folder, 'link'))
    await chmod(path, 0o644)
    for (const name of ['secret', 'link'])
      await expect(readOrCreatePrivateFile(join(folder, name), () => 'new')).rejects.toMatchObject({
        name: 'StateFileError',
        message: expect.stringMatching(
          new RegExp(
            `^${join(folder, name)}: other users have access to it \\(mode 0644\\)\\. Run: chmod 600 `,
          ),
        ),
      })
  })
})
