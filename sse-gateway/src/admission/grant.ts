import type { KeyIdentity } from '@hallpass/tokens'

/** What a valid token grants until it expires. */
export interface Grant {
  readonly issuer: string
  readonly subject: string | undefined
  /** Milliseconds since the epoch; Infinity for a token without `exp`. */
  readonly expiresAt: number
  readonly roles: readonly string[]
  readonly jti: string | undefined
  /** The session of the token, for example a login (OpenID Connect `sid`). */
  readonly session: string | undefined
  /** Identifies the token in the log: its `jti` or the start of its hash. */
  readonly tokenId: string
  readonly issuedAt: number | undefined
  /** The key that signed the token; undefined from a gateway of an earlier version. */
  readonly signer: KeyIdentity | undefined
  /** When this gateway received the token, or the grant from another gateway; milliseconds since the epoch. */
  readonly verifiedAt: number
}

/** Returns the key under which streams, replays and tickets are counted: the subject or, without one, the token. */
export const ownerOf = ({ issuer, subject, tokenId }: Grant): string =>
  `${issuer}\n${subject ?? `token ${tokenId}`}`
