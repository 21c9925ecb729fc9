/** What a verified token grants to a stream until it expires. */
export interface StreamGrant {
  readonly issuer: string
  readonly subject: string | undefined
  /** Milliseconds since the epoch; Infinity for a token without `exp`. */
  readonly expiresAt: number
  /** Identifies the token in the log, and recognizes a repeated challenge response: its `jti`, or the start of its hash. */
  readonly tokenId: string
}

/** Returns the key under which streams are counted: the subject or, without one, the token. */
export const ownerOf = ({ issuer, subject, tokenId }: StreamGrant): string =>
  `${issuer}\n${subject ?? `token ${tokenId}`}`
