import { type HopCheck, publishHop, shownToken } from './hops.ts'
import { currentTrace } from './trace.ts'

/**
 * A token that a verifier rejected. `packages/tokens` throws such errors, as does the client of a remote verifier; this
 * package recognizes them by `reason` and `toJSON` together: a rejected key set also has a reason, but blames no token.
 */
export interface TokenRefusal extends Error {
  /** Stable and machine-readable, e.g. `expired`. */
  readonly reason: string
  /** Returns what a caller may see: name, message and, if expired, `expiredAt`. */
  toJSON(): Readonly<Record<string, unknown>>
}

export const isTokenRefusal = (error: unknown): error is TokenRefusal =>
  error instanceof Error &&
  typeof (error as Partial<TokenRefusal>).reason === 'string' &&
  typeof (error as Partial<TokenRefusal>).toJSON === 'function'

export interface VerifiedClaims {
  readonly claims: Readonly<Record<string, unknown>>
}

/**
 * Runs a verifier and, if the current trace is watched, reports its verdict with every check. Does not change the
 * verdict.
 */
export async function observeVerification<T extends VerifiedClaims>(
  token: string,
  verify: (token: string) => T | Promise<T>,
): Promise<T> {
  const trace = currentTrace()
  if (!trace?.sampled) return verify(token)
  const startedAt = Date.now()
  const started = performance.now()
  const tell = (verdict: 'accepted' | 'refused', outcome: unknown) => {
    const { checks, reason, message } = outcome as {
      checks?: readonly HopCheck[]
      reason?: string
      message?: string
    }
    const shown = shownToken(token)
    publishHop({
      kind: 'verification',
      traceId: trace.traceId,
      spanId: trace.spanId,
      parentId: trace.parentId,
      service: trace.service,
      startedAt,
      durationMs: performance.now() - started,
      verdict,
      ...(shown ? { token: shown } : {}),
      ...(checks ? { checks } : {}),
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
    })
  }
  try {
    const verified = await verify(token)
    tell('accepted', verified)
    return verified
  } catch (error) {
    if (isTokenRefusal(error)) tell('refused', error)
    throw error
  }
}
