import { readFileSync } from 'node:fs'
import { parseJson } from '@hallpass/untrusted/json'

/** A user of this provider. There are no passwords: anyone who reaches this process can log in as any user. */
export interface User {
  /** The `sub` of the user's tokens. */
  readonly id: string
  readonly name: string
  readonly nickname: string
  readonly email: string
  /** The user's scopes at the API. Other requested scopes are omitted from the tokens. */
  readonly scopes: readonly string[]
}

/** The scopes of the API, with their descriptions on the login page. */
export const API_SCOPES = {
  'read:data': 'the first backend',
  'read:data2': 'the second backend',
} as const

const DEVELOPMENT_USERS: readonly User[] = [
  {
    id: 'ada',
    name: 'Ada Okafor',
    nickname: 'ada',
    email: 'ada@hallpass.example',
    scopes: ['read:data', 'read:data2'],
  },
  // May call only the first backend, to show a 403 next to a 200.
  { id: 'ben', name: 'Ben Ruiz', nickname: 'ben', email: 'ben@hallpass.example', scopes: ['read:data'] },
  // A non-ASCII name, which headers and tokens must support.
  { id: 'zoe', name: 'Zoë Šimić', nickname: 'zoë', email: 'zoe@hallpass.example', scopes: [] },
]

export class Users {
  readonly all: readonly User[]

  constructor(users: readonly User[] = DEVELOPMENT_USERS) {
    this.all = users
  }

  /**
   * Reads users from a JSON file: a list of objects with the members of {@link User}.
   * @throws {TypeError} naming the file and the invalid entry
   */
  static fromFile(file: string): Users {
    const list: unknown = parseJson(readFileSync(file, 'utf8'))
    if (!Array.isArray(list) || list.length === 0)
      throw new TypeError(`${file} must contain a list of users.`)
    const strings = ['id', 'name', 'nickname', 'email'] as const
    list.forEach((entry: Partial<User> | null, index) => {
      const missing = strings.find((member) => typeof entry?.[member] !== 'string')
      if (missing) throw new TypeError(`${file}: user ${index + 1} has no ${missing}.`)
      if (!/^[\w-]{1,64}$/.test(entry?.id as string))
        throw new TypeError(`${file}: the id of user ${index + 1} must match ^[A-Za-z0-9_-]{1,64}$.`)
      if (!Array.isArray(entry?.scopes))
        throw new TypeError(`${file}: user ${index + 1} has no list of scopes.`)
    })
    return new Users(list as User[])
  }

  find(id: string): User | undefined {
    return this.all.find((user) => user.id === id)
  }
}
