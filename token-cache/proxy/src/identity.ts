import { hash } from 'node:crypto'
import { readableKey } from './readable-key.ts'

/** Whom a request is from, and under which key the cache knows the token for it. */
export interface Identity {
  /** The subject of the token. */
  readonly user: string
  /** What tells this caller from others, the user first. */
  readonly fields: readonly string[]
  readonly key: string
}

/** What tokens in one store must agree on, besides the caller: two tiers never share a token by accident. */
export interface CacheScope {
  readonly issuer: string
  readonly audience: string
}

export class KeyMaker {
  readonly #prefix: string

  constructor(scope: CacheScope) {
    this.#prefix = lengthPrefixed([scope.issuer, scope.audience])
  }

  identity(fields: readonly string[]): Identity {
    return { user: fields[0] as string, fields, key: this.keyOf(fields) }
  }

  /**
   * A hash over the fields, each with its length before it: however a caller writes a field, it cannot look like two,
   * so no two identities have one key.
   */
  keyOf(fields: readonly string[]): string {
    return hash('sha256', `${this.#prefix}${lengthPrefixed(fields)}`, 'base64url')
  }

  /** The key under which a user is blocked whatever the other fields of the identity say. */
  userKey(user: string): string {
    return `${USER_KEY}${this.keyOf([user])}`
  }
}

export const USER_KEY = 'user.'

export const describeIdentity = ({ fields }: Identity): string => readableKey(fields).slice(0, 256)

const lengthPrefixed = (fields: readonly string[]) =>
  fields.map((field) => `${field.length}:${field}`).join('')
