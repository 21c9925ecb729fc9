import { hash } from 'node:crypto'
import { canonicalField } from './canonical-field.ts'
import { readableKey } from './readable-key.ts'

/** The caller of a request, and the key of its token in the cache. */
export interface Identity {
  /** The subject of the token. */
  readonly user: string
  /** The fields that identify the caller, starting with the user. */
  readonly fields: readonly string[]
  readonly key: string
}

/** Part of every key, so that two tiers in one store never share a token by accident. */
export interface CacheScope {
  readonly issuer: string
  readonly audience: string
}

/** Visible ASCII without a comma, because a comma joins repeated header fields. */
export const USER = /^[!-+\--~]{1,128}$/

export class KeyMaker {
  readonly #prefix: string

  constructor(scope: CacheScope) {
    this.#prefix = lengthPrefixed([scope.issuer, scope.audience])
  }

  identity(fields: readonly string[]): Identity {
    return { user: fields[0] as string, fields, key: this.keyOf(fields.map(canonicalField)) }
  }

  /**
   * Returns a hash over the canonical fields, each prefixed with its length, so that one field cannot imitate two and no two
   * identities share a key.
   */
  keyOf(canonicalFields: readonly string[]): string {
    return hash('sha256', `${this.#prefix}${lengthPrefixed(canonicalFields)}`, 'base64url')
  }

  /** Returns the key for a user, independent of the other fields. */
  userKey(user: string): string {
    return `user.${this.keyOf([user])}`
  }
}

/** Returns the key as an operator reads and writes it. */
export const describeIdentity = ({ fields }: Identity): string => readableKey(fields.map(canonicalField))

const lengthPrefixed = (fields: readonly string[]) =>
  fields.map((field) => `${field.length}:${field}`).join('')
