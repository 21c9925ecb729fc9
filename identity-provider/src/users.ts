import { readFileSync } from 'node:fs'
import { parseJson } from '@hallpass/untrusted/json'

/** Somebody who can log in here. There are no passwords: whoever reaches this process may be anyone. */
export interface User {
  /** The `sub` of their tokens. */
  readonly id: string
  readonly name: string
  readonly nickname: string
  readonly email: string
  /** What they may do at the API; other scopes that a client asks for are left out of their tokens. */
  readonly scopes: readonly string[]
}

/** The scopes of the API, and what the login page says about each. */
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
  // May call the first backend alone, so that a 403 can be seen beside a 200.
  { id: 'ben', name: 'Ben Ruiz', nickname: 'ben', email: 'ben@hallpass.example', scopes: ['read:data'] },
  // A name that is not ASCII, because headers and tokens must carry those too.
  { id: 'zoe', name: 'Zoë Šimić', nickname: 'zoë', email: 'zoe@hallpass.example', scopes: [] },
]

export class Users {
  readonly all: readonly User[]

  constructor(users: readonly User[] = DEVELOPMENT_USERS) {
    this.all = users
  }

  /**
   * The users of a JSON file: a list of objects with the members of {@link User}.
   * @throws {TypeError} naming the file and the entry that is not a user.
   */
  static fromFile(file: string): Users {
    const list: unknown = parseJson(readFileSync(file, 'utf8'))
    if (!Array.isArray(list) || list.length === 0) throw new TypeError(`${file} is not a list of users.`)
    const texts = ['id', 'name', 'nickname', 'email'] as const
    list.forEach((entry: Partial<User> | null, index) => {
      const missing = texts.find((member) => typeof entry?.[member] !== 'string')
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
