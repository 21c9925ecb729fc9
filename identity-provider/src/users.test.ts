import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { Users } from './users.ts'

const file = join(mkdtempSync(join(tmpdir(), 'users-')), 'users.json')
const read = (content: unknown) => {
  writeFileSync(file, JSON.stringify(content))
  return Users.fromFile(file)
}
const mia = { id: 'mia', name: 'Mia', nickname: 'mia', email: 'mia@example.com', scopes: [] }

describe('Users', () => {
  it('finds only the built-in users', () => {
    expect(new Users().find('ada')?.name).toBe('Ada Okafor')
    expect(new Users().find('constructor')).toBeUndefined()
  })

  it('reads other users from a file', () => {
    expect(read([mia]).find('mia')).toEqual(mia)
  })

  it.each([
    ['no list', {}, /must contain a list of users/],
    ['an empty list', [], /must contain a list of users/],
    ['a user without a name', [{ ...mia, name: undefined }], /user 1 has no name/],
    ['an ID that does not fit into a URL', [mia, { ...mia, id: '../x' }], /the id of user 2 must match/],
    ['a user without scopes', [{ ...mia, scopes: 'read:data' }], /user 1 has no list of scopes/],
  ])('rejects %s', (_what, content, message) => {
    expect(() => read(content)).toThrow(message)
  })
})
