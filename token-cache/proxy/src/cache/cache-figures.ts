/** How requests fared, since this proxy started. */
export interface CacheFigures {
  /** Answered with a token that was there. */
  hits: number
  /** Waited for a new token. */
  misses: number
  /** Answered with a token past its freshness, because there was no new one to be had. */
  stale: number
  /** Calls to the auth tier, whatever came of them. */
  issuerCalls: number
  /** Of these, those that came ahead of a token's end. */
  renewals: number
  issuerFailures: number
  /** Requests refused because their key or user is blocked. */
  blocked: number
  /** Other requests without a token. */
  refused: number
  /** Requests refused because their user has all the tokens that it may have. */
  limited: number
  /** The shared store did not answer, or did not take an entry. */
  storeFailures: number
}

export const noFigures = (): CacheFigures => ({
  hits: 0,
  misses: 0,
  stale: 0,
  issuerCalls: 0,
  renewals: 0,
  issuerFailures: 0,
  blocked: 0,
  refused: 0,
  limited: 0,
  storeFailures: 0,
})
