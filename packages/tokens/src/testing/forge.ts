import type { SigningKey } from '../keys/keys.ts'
import type { TokenErrorReason } from '../token-error.ts'
import { forgeToken, type Part } from './forge-token.ts'

/** A token that every verifier must reject, and verifyToken's expected error. */
export interface WrongToken {
  /** The row of the attack table, e.g. `AL-10`. */
  readonly attack: string
  readonly name: string
  readonly token: string
  readonly reason: TokenErrorReason
  readonly message: string
}

export interface WrongTokensOptions {
  /** The key that the verifier trusts. */
  readonly key: SigningKey
  /** Claims that the verifier accepts: a token with only these and an `exp` is valid. */
  readonly claims: { readonly iss: string; readonly aud: string; readonly sub: string }
  /** Seconds since the epoch, by the verifier's clock. */
  readonly now: number
  /** The verifier's maximum lifetime. */
  readonly maxLifetimeSeconds: number
}

export type Row = Omit<WrongToken, 'attack'>

export class Forge {
  readonly key: SigningKey
  readonly now: number
  readonly maxLifetimeSeconds: number
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>> & WrongTokensOptions['claims']
  readonly good: string
  readonly goodParts: readonly [header: string, payload: string, signature: string]

  constructor({ key, claims, now, maxLifetimeSeconds }: WrongTokensOptions) {
    this.key = key
    this.now = now
    this.maxLifetimeSeconds = maxLifetimeSeconds
    this.header = { alg: key.alg, typ: 'JWT', kid: key.kid }
    this.claims = { ...claims, exp: now + Math.min(MINUTE, maxLifetimeSeconds), iat: now, jti: 'forged' }
    this.good = this.sign(this.header, this.claims)
    this.goodParts = this.good.split('.') as unknown as [string, string, string]
  }

  sign(header: Part, claims: Part): string {
    return forgeToken({ header, claims, key: this.key, alg: this.key.alg })
  }

  withHeader(members: Readonly<Record<string, unknown>>): string {
    return this.sign({ ...this.header, ...members }, this.claims)
  }

  withClaims(members: Readonly<Record<string, unknown>>): string {
    return this.sign(this.header, { ...this.claims, ...members })
  }

  /** Takes the claims as JSON text, for what JSON.stringify cannot write. */
  withClaimsText(edit: (json: string) => string | Buffer): string {
    return this.sign(this.header, edit(JSON.stringify(this.claims)))
  }
}

export const refusedAs = (name: string, token: string, reason: TokenErrorReason, message: string): Row => ({
  name,
  token,
  reason,
  message,
})

export const shown = (value: unknown) => (JSON.stringify(value) ?? 'left out').slice(0, 60)

export const MINUTE = 60
export const DAY = 86_400
export const YEAR = 365 * DAY
