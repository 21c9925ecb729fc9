import { hash } from 'node:crypto'
import { readableKey } from '../operators/readable-key.ts'
import { canonicalField } from './canonical-field.ts'

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

/** A name, not a text: visible ASCII without the comma, with which two fields of one name are joined. */
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
   * A hash over the canonical fields, each with its length before it: however a caller writes a field, it cannot look
   * like two, so no two identities have one key.
   */
  keyOf(canonicalFields: readonly string[]): string {
    return hash('sha256', `${this.#prefix}${lengthPrefixed(canonicalFields)}`, 'base64url')
  }

  /** The key of what concerns a user whatever the other fields of the identity say. */
  userKey(user: string): string {
    return `user.${this.keyOf([user])}`
  }
}

/** The key as an operator sees it and writes it. */
export const describeIdentity = ({ fields }: Identity): string => readableKey(fields.map(canonicalField))

const lengthPrefixed = (fields: readonly string[]) =>
  fields.map((field) => `${field.length}:${field}`).join('')
