/**
 * Reports a token whose key is not known while the issuer's keys must not be loaded again yet: it cannot be said whether the key
 * is new or made up, so the token is not rejected. A client that repeats its request gets the answer.
 */
export class KeyNotLoadedError extends Error {
  override readonly name = 'KeyNotLoadedError'
  /** After this time the keys can be loaded again; at least 1. */
  readonly retryAfterSeconds: number

  constructor(issuer: string, waitMs: number) {
    const seconds = Math.max(1, Math.ceil(waitMs / 1000))
    super(
      `The key of this token is not known, and the keys of ${issuer} were loaded moments ago. Retry after ${seconds} s.`,
    )
    this.retryAfterSeconds = seconds
  }
}
