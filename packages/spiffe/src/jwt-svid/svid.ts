import { inspect } from 'node:util'
import type { SpiffeId } from '../spiffe-id/index.ts'

export type Claims = Readonly<Record<string, unknown>>

interface JwtSvidFields {
  readonly id: SpiffeId
  readonly audience: readonly string[]
  readonly expiresAt: number
  readonly issuedAt: number | undefined
  readonly claims: Claims
  readonly hint: string
  readonly token: string
}

/** A parsed JWT-SVID; whether it was validated depends on the function that returned it. Immutable. */
export class JwtSvid {
  readonly id: SpiffeId
  readonly audience: readonly string[]
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  readonly issuedAt: number | undefined
  readonly claims: Claims
  /** The issuer's label for this identity, to distinguish several; can be empty. */
  readonly hint: string
  readonly #token: string

  constructor(fields: JwtSvidFields) {
    this.id = fields.id
    this.audience = fields.audience
    this.expiresAt = fields.expiresAt
    this.issuedAt = fields.issuedAt
    this.claims = fields.claims
    this.hint = fields.hint
    this.#token = fields.token
  }

  /** Returns the token, only for the Authorization header: anyone who reads it can use it. */
  marshal(): string {
    return this.#token
  }

  withHint(hint: string): JwtSvid {
    return new JwtSvid({ ...this, hint, token: this.#token })
  }

  /** Returns what is safe to log: never the token. */
  toJSON() {
    const { jti } = this.claims
    return {
      id: this.id.toString(),
      audience: this.audience,
      expiresAt: new Date(this.expiresAt).toISOString(),
      ...(typeof jti === 'string' && { jti }),
    }
  }

  [inspect.custom](): string {
    return `JwtSvid ${inspect(this.toJSON())}`
  }
}
