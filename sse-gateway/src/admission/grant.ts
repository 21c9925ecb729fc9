/** What a good token grants, for as long as it is good. */
export interface Grant {
  readonly issuer: string
  readonly subject: string | undefined
  /** Milliseconds since the epoch; Infinity for a token without `exp`. */
  readonly expiresAt: number
  readonly roles: readonly string[]
  readonly jti: string | undefined
  /** The session that the token belongs to, e.g. a login (OpenID Connect `sid`). */
  readonly session: string | undefined
  /** What the log calls the token: its `jti`, or the start of its hash. */
  readonly tokenId: string
  readonly issuedAt: number | undefined
}
