/** Counts of requests and calls since this proxy started. */
export interface CacheFigures {
  /** Requests that used a cached token. */
  hits: number
  /** Requests that waited for a new token. */
  misses: number
  /** Requests that used a token past its freshness, because no new one was available. */
  stale: number
  /** Calls to the auth tier, with any result. */
  issuerCalls: number
  /** Those of these calls that renewed a token before it was needed. */
  renewals: number
  issuerFailures: number
  /** Requests rejected because their key or user is blocked. */
  blocked: number
  /** Other requests without a token. */
  refused: number
  /** Requests rejected because their user has reached its token limit. */
  limited: number
  /** Requests for which the shared store did not answer or did not accept an entry. */
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
