import type { Tokens } from '../provider/index.ts'
import type { AccessSummary } from './visitor.ts'

/** The remaining lifetime at which a token is renewed, or a quarter of its lifetime if that is shorter. */
const REFRESH_AHEAD_MS = 30_000
/** The delay between attempts while the provider is unavailable. */
const RETRY_AFTER_MS = 5_000

/** The tokens of one session, as they are stored. Times are in milliseconds since the epoch. */
export interface SessionTokens {
  readonly accessToken: string
  readonly refreshToken?: string | undefined
  readonly scope?: string | undefined
  /** The latest ID token, which identifies the session to end at the provider. */
  readonly idToken?: string | undefined
  /** Absent if the provider states no lifetime: then the token is used until it is rejected. */
  readonly expiresAt?: number
  readonly refreshAt?: number
  /** Number of renewals in this session. */
  readonly refreshes: number
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

/** The provider is unavailable: the old token may still be valid, and no replica asks for another one until then. */
export const refreshLater = (tokens: SessionTokens, now: number): SessionTokens => ({
  ...tokens,
  refreshAt: now + RETRY_AFTER_MS,
})

export const validAccessToken = (
  { accessToken, expiresAt }: SessionTokens,
  now: number,
): string | undefined => (expiresAt === undefined || now < expiresAt ? accessToken : undefined)

export const accessSummary = ({
  expiresAt,
  scope,
  refreshToken,
  refreshes,
}: SessionTokens): AccessSummary => ({
  expiresAt,
  scope,
  canRefresh: refreshToken !== undefined,
  refreshes,
})

function lifeOf({ expiresInSeconds }: Tokens, now: number): Pick<SessionTokens, 'expiresAt' | 'refreshAt'> {
  if (expiresInSeconds === undefined) return {}
  const life = expiresInSeconds * 1000
  const expiresAt = now + life
  return { expiresAt, refreshAt: expiresAt - Math.min(REFRESH_AHEAD_MS, life / 4) }
}
