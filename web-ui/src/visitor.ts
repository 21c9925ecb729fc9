import type { IncomingMessage } from 'node:http'

/** Somebody whose ID token was verified. */
export interface User {
  readonly sub: string
  readonly name: string
  readonly nickname: string | undefined
  /** An https URL, or one of the provider's own; anything else is left out. */
  readonly picture: string | undefined
  /** Everything that the ID token says. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** Whoever asks for a page. */
export interface Visitor {
  readonly user: User | undefined
  /** Stands in every form of this visitor's pages; absent when there is no session to protect. */
  readonly formToken: string | undefined
  /**
   * The user's access token for the backends, fresh enough for a call made now. It is for this service to use;
   * no page may hold it.
   */
  accessToken(): Promise<string | undefined>
  /** What is known of that token, for the profile. */
  readonly access: AccessSummary | undefined
}

export interface AccessSummary {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  readonly scope: string | undefined
  readonly canRefresh: boolean
  /** How often it was renewed in this session. */
  readonly refreshes: number
}

/** Where visitors are known from: this service's own sessions, or a gateway in front. */
export interface VisitorSource {
  identify(request: IncomingMessage): Promise<Visitor>
}

export const stranger: Visitor = {
  user: undefined,
  formToken: undefined,
  accessToken: async () => undefined,
  access: undefined,
}

/** @param providerOrigin where pictures may come from besides https. */
export function userFrom(claims: Readonly<Record<string, unknown>>, providerOrigin: string): User {
  const text = (claim: string) => {
    const value = claims[claim]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const sub = text('sub') ?? ''
  const picture = text('picture')
  const showable =
    picture !== undefined &&
    URL.canParse(picture) &&
    (picture.startsWith('https://') || new URL(picture).origin === providerOrigin)
  return {
    sub,
    name: text('name') ?? text('nickname') ?? text('preferred_username') ?? text('email') ?? sub,
    nickname: text('nickname'),
    picture: showable ? picture : undefined,
    claims,
  }
}
