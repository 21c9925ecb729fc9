import { type Clock, HttpError, type Logger } from '@hallpass/service-kit'
import type { Request, RequestHandler } from 'express'
import type { Cookies } from '../cookies.ts'
import type { LoginAttempt, LoginAttempts } from '../login-attempt.ts'
import { LoginRefused, type OpenidClient, type Tokens } from '../openid-client.ts'
import { newSecret, type SessionStore } from '../session-store.ts'
import { SessionTokens } from '../session-tokens.ts'
import { userFrom } from '../visitor.ts'

export interface FinishLoginParts {
  readonly provider: OpenidClient
  readonly attempts: LoginAttempts
  readonly sessions: SessionStore
  readonly cookies: Cookies
  readonly sessionMaxMs: number
  readonly log: Logger
  readonly clock: Clock
}

/**
 * `GET /callback`: the provider has sent the browser back with a code. It is redeemed only in the browser that began
 * this very login, by its `state`; other logins under way there go on. The session that follows has a new id, whatever
 * cookie came along. A callback that belongs to no login here (Back, a reload) leads home whoever is logged in.
 */
export function finishLogin(parts: FinishLoginParts): RequestHandler {
  const { attempts, sessions, cookies, sessionMaxMs } = parts
  /** Codes that are being redeemed. A browser that asks twice at once (a double click) gets one answer: codes are good once. */
  const underWay = new Map<string, Promise<string>>()
  return async (request, response) => {
    const query = request.originalUrl.split('?').slice(1).join('?')
    const { state } = request.query
    const attempt = typeof state === 'string' ? await attempts.find(request, state) : undefined
    response.set('cache-control', 'no-store')
    if (!attempt) {
      if (sessions.find(cookies.read(request, 'session'))) return response.redirect(303, '/')
      throw new HttpError(
        400,
        'no_login_attempt',
        'This login was not begun in this browser, or it took more than ten minutes: no login under way here has the "state" that came back.',
      )
    }
    attempts.end(response, attempt.state)
    let redeeming = underWay.get(query)
    if (!redeeming) {
      redeeming = startSession(parts, request, query, attempt).finally(() => underWay.delete(query))
      underWay.set(query, redeeming)
    }
    cookies.set(response, 'session', await redeeming, sessionMaxMs)
    response.redirect(303, attempt.returnTo)
  }
}

/** @returns the id of the session, which takes the place of the one that the browser had. */
async function startSession(
  { provider, sessions, cookies, log, clock }: FinishLoginParts,
  request: Request,
  query: string,
  attempt: LoginAttempt,
): Promise<string> {
  const tokens = await provider.finish(query, attempt)
  const { claims } = tokens
  // The client library insists on an ID token; without one there is nobody to log in.
  if (typeof claims?.sub !== 'string') throw new LoginRefused('no_id_token', 'There is no ID token.', false)

  const user = userFrom(claims, new URL(String(claims.iss)).origin)
  const before = sessions.end(cookies.read(request, 'session'))
  const id = sessions.start({
    user,
    tokens: new SessionTokens(tokens, (old) => renewFor(provider, user.sub, old), clock),
    // The same user in another tab: the forms of the pages that are open there stay good.
    formToken: before?.user.sub === user.sub ? before.formToken : newSecret(),
    providerSession: typeof claims.sid === 'string' ? claims.sid : undefined,
  })
  log.info({ sub: user.sub }, 'logged in')
  return id
}

/** A refresh must speak of the same user as the login did (OpenID Connect Core §12.2). */
async function renewFor(provider: OpenidClient, sub: string, refreshToken: string): Promise<Tokens> {
  const tokens = await provider.refresh(refreshToken)
  if (tokens.claims !== undefined && tokens.claims.sub !== sub)
    throw new LoginRefused('other_subject', 'The renewed token speaks of another user.', false)
  return tokens
}
