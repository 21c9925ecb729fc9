import type { IncomingMessage } from 'node:http'

/** A user whose ID token was verified. */
export interface User {
  readonly sub: string
  readonly name: string
  readonly nickname: string | undefined
  /** An https URL, or a URL of the provider; any other is omitted. */
  readonly picture: string | undefined
  /** All claims of the ID token. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** The sender of a request for a page, logged in or not. */
export interface Visitor {
  readonly user: User | undefined
  /** Included in every form of the visitor's pages; undefined if there is no session to protect. */
  readonly formToken: string | undefined
  /** Returns the user's access token for the backends. It stays in this service; no page must contain it. */
  accessToken(): Promise<string | undefined>
  /** Properties of that token for the profile page. */
  readonly access: AccessSummary | undefined
}

/** Why the last attempt to renew the tokens failed. */
export interface RenewalFailure {
  /** An error code, e.g. `temporarily_unavailable` or `peer_timeout`. */
  readonly code: string
  /** Whether the provider answered: it declined, or its answer failed verification. */
  readonly isAnswered: boolean
}

export interface AccessSummary {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  readonly scope: string | undefined
  readonly canRefresh: boolean
  /** Number of renewals in this session. */
  readonly refreshes: number
  /**
   * Why there is no valid token although the user is logged in: `awaited` if the provider has not renewed it, `expired` if it
   * cannot be renewed.
   */
  readonly noToken: 'awaited' | 'expired' | undefined
  /** Why the last attempt to renew it failed. */
  readonly failure: RenewalFailure | undefined
  /** The earliest time of the next attempt, in milliseconds since the epoch. */
  readonly nextAttemptAt: number | undefined
}

/** Identifies visitors: by this service's own sessions, or by a gateway in front. */
export interface VisitorSource {
  identify(request: IncomingMessage): Promise<Visitor>
}

export const stranger: Visitor = {
  user: undefined,
  formToken: undefined,
  accessToken: async () => undefined,
  access: undefined,
}

/** @param providerOrigin an origin that pictures may have in addition to https URLs. */
export function userFrom(claims: Readonly<Record<string, unknown>>, providerOrigin: string): User {
  const text = (claim: string) => {
    const value = claims[claim]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const sub = text('sub') ?? ''
  const fullName = [text('given_name'), text('family_name')].filter(Boolean).join(' ') || undefined
  const picture = text('picture')
  const showable =
    picture !== undefined &&
    URL.canParse(picture) &&
    (picture.startsWith('https://') || new URL(picture).origin === providerOrigin)
  return {
    sub,
    name: text('name') ?? fullName ?? text('nickname') ?? text('preferred_username') ?? text('email') ?? sub,
    nickname: text('nickname'),
    picture: showable ? picture : undefined,
    claims,
  }
}
