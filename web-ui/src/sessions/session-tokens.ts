import { PeerError } from '@hallpass/service-kit'
import { LAST_SECOND, parseCompact, TokenError } from '@hallpass/tokens'
import { LoginRefused, ProviderFault, type Tokens } from '../provider/index.ts'
import type { AccessSummary, RenewalFailure } from './visitor.ts'

/** The remaining lifetime at which a token is renewed, or a quarter of its lifetime if that is shorter. */
const REFRESH_AHEAD_MS = 30_000
/** The delay between attempts to renew a token, if the provider names none. */
const RETRY_AFTER_MS = 5_000
/** The longest `Retry-After` that is respected: a longer one would outlast most access tokens. */
const MAX_RETRY_AFTER_S = 60
/** Longer than every error code of OAuth and OpenID Connect; the code comes from the provider. */
const ERROR_CODE = /^[\w.:-]{1,64}$/

/** The error of a renewal, with what it can say beyond its message. */
interface RenewalError extends Error {
  /** An error code of OAuth, of the client library or of a peer. */
  readonly code?: unknown
  /** The provider's `Retry-After`. */
  readonly retryAfterSeconds?: unknown
  /** The next refresh token, if the provider sent one with tokens that failed verification: the old one no longer works. */
  readonly rotatedRefreshToken?: unknown
}

/** The tokens of one session, as they are stored. Times are in milliseconds since the epoch. */
export interface SessionTokens {
  readonly accessToken: string
  readonly refreshToken?: string | undefined
  readonly scope?: string | undefined
  /** The latest ID token, which identifies the session to end at the provider. */
  readonly idToken?: string | undefined
  /** Absent if neither the provider nor the token states the lifetime: then the token is used until it is rejected. */
  readonly expiresAt?: number
  readonly refreshAt?: number
  /** Number of renewals in this session. */
  readonly refreshes: number
  /** Absent if the last attempt succeeded. */
  readonly failure?: RenewalFailure
}

/** Returns the tokens of a login, or those that replace `before`. */
export function sessionTokens(tokens: Tokens, now: number, before?: SessionTokens): SessionTokens {
  return {
    accessToken: tokens.accessToken,
    // Without rotation the provider sends none, and the old one stays valid (RFC 6749 §6).
    refreshToken: tokens.refreshToken ?? before?.refreshToken,
    scope: tokens.scope ?? before?.scope,
    idToken: tokens.idToken ?? before?.idToken,
    ...lifeOf(tokens, now),
    refreshes: before === undefined ? 0 : before.refreshes + 1,
  }
}

/** Returns whether the access token must be renewed before it is used. */
export const isRefreshDue = ({ refreshAt, refreshToken }: SessionTokens, now: number): boolean =>
  refreshToken !== undefined && refreshAt !== undefined && now >= refreshAt

/** The renewal failed: the old token may still be valid, and no replica asks for another one before the next attempt. */
export function refreshLater(tokens: SessionTokens, now: number, error: RenewalError): SessionTokens {
  const { retryAfterSeconds, rotatedRefreshToken } = error
  const delayMs =
    typeof retryAfterSeconds === 'number' && retryAfterSeconds > 0
      ? Math.min(retryAfterSeconds, MAX_RETRY_AFTER_S) * 1000
      : RETRY_AFTER_MS
  return {
    ...tokens,
    ...(typeof rotatedRefreshToken === 'string' ? { refreshToken: rotatedRefreshToken } : {}),
    refreshAt: now + delayMs,
    failure: { code: failureCode(error), isAnswered: isAnswer(error) },
  }
}

/** Whether the provider answered, if only with an error of its own or something else than tokens. */
const isAnswer = (error: RenewalError) =>
  error instanceof LoginRefused ||
  error instanceof ProviderFault ||
  (error instanceof PeerError && error.code === 'peer_unexpected_answer')

export const failureCode = ({ code }: RenewalError): string =>
  typeof code === 'string' && ERROR_CODE.test(code) ? code : 'unknown_error'

export const validAccessToken = (
  { accessToken, expiresAt }: SessionTokens,
  now: number,
): string | undefined => (expiresAt === undefined || now < expiresAt ? accessToken : undefined)

export function accessSummary(tokens: SessionTokens, now: number): AccessSummary {
  const { expiresAt, refreshAt, scope, refreshToken, refreshes, failure } = tokens
  const canRefresh = refreshToken !== undefined
  // Past its expiry a token that can be renewed is missing only because the provider did not renew it, or not yet.
  const noToken = validAccessToken(tokens, now) !== undefined ? undefined : canRefresh ? 'awaited' : 'expired'
  return {
    expiresAt,
    scope,
    canRefresh,
    refreshes,
    noToken,
    failure,
    nextAttemptAt: canRefresh ? refreshAt : undefined,
  }
}

function lifeOf(
  { accessToken, expiresInSeconds }: Tokens,
  now: number,
): Pick<SessionTokens, 'expiresAt' | 'refreshAt'> {
  // `expires_in` is only recommended (RFC 6749 §5.1).
  const expiresAt = expiresInSeconds === undefined ? expiryIn(accessToken) : now + expiresInSeconds * 1000
  // A past `exp` would renew the token for every request: the clocks differ, or it is not a time.
  if (expiresAt === undefined || (expiresInSeconds === undefined && expiresAt <= now)) return {}
  return { expiresAt, refreshAt: expiresAt - Math.min(REFRESH_AHEAD_MS, (expiresAt - now) / 4) }
}

/** Returns the `exp` of an access token that is a JWT, in milliseconds. It is not verified, so it serves only for the timing. */
function expiryIn(accessToken: string): number | undefined {
  try {
    const { exp } = parseCompact(accessToken).payload
    return typeof exp === 'number' && exp <= LAST_SECOND ? exp * 1000 : undefined
  } catch (error) {
    if (error instanceof TokenError) return undefined
    throw error
  }
}
