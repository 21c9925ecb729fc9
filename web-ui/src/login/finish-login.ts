import { type Clock, type Handler, HttpError, type Logger } from '@hallpass/service-kit'
import type { Request } from 'express'
import { type LoginAttempt, LoginRefused, type OpenidClient, type Tokens } from '../provider/index.ts'
import type { Cookies } from '../sessions/index.ts'
import { describeBrowser, newSecret, type SessionStore, sessionTokens, userFrom } from '../sessions/index.ts'
import type { LoginAttempts } from './login-attempt.ts'

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
 * Handles `GET /callback`: the provider has redirected the browser back with an authorization code. The code is redeemed
 * only in the browser that started this login, found by its `state`; other pending logins of the browser are unaffected.
 * The session gets a new ID, whatever cookie the browser sends. A callback without a pending login (Back, a reload)
 * redirects a logged-in user to the home page.
 */
export function finishLogin(parts: FinishLoginParts): Handler {
  const { attempts, sessions, cookies, sessionMaxMs } = parts
  return async (request, response) => {
    const query = request.originalUrl.split('?').slice(1).join('?')
    const { state } = request.query
    const attempt = typeof state === 'string' ? await attempts.find(request, state) : undefined
    response.set('cache-control', 'no-store')
    if (!attempt) {
      if (await sessions.find(cookies.read(request, 'session'))) return response.redirect(303, '/')
      throw new HttpError(
        400,
        'no_login_attempt',
        'This login was not started in this browser, or it took more than ten minutes: the returned "state" matches no pending login. Log in again.',
      )
    }
    attempts.end(response, attempt.state)
    // A code works once, so concurrent requests (a double click) share the result, also at two replicas.
    const id = await sessions.startOnce(query, () => startSession(parts, request, query, attempt))
    cookies.set(response, 'session', id, sessionMaxMs)
    response.redirect(303, attempt.returnTo)
  }
}

/** Redeems the code and starts a session, which replaces the browser's previous one. @returns its ID. */
async function startSession(
  { provider, sessions, cookies, log, clock }: FinishLoginParts,
  request: Request,
  query: string,
  attempt: LoginAttempt,
): Promise<string> {
  const tokens = await provider.finish(query, attempt)
  const { claims } = tokens
  // The client library already requires an ID token; this narrows the type and checks `sub`.
  if (typeof claims?.sub !== 'string')
    throw new LoginRefused('no_id_token', 'the response contains no ID token', false)

  const user = userFrom(claims, new URL(String(claims.iss)).origin)
  const before = await sessions.end(cookies.read(request, 'session'))
  const id = await sessions.start({
    user,
    tokens: sessionTokens(tokens, clock()),
    // For the same user, forms of pages open in other tabs stay valid.
    formToken: before?.user.sub === user.sub ? before.formToken : newSecret(),
    providerSession: typeof claims.sid === 'string' ? claims.sid : undefined,
    browser: describeBrowser(request.headers['user-agent']),
  })
  log.info({ sub: user.sub }, 'logged in')
  return id
}

/** Returns a function that renews tokens. The new ID token must have the same subject as the login (OpenID Connect Core §12.2). */
export const renewFrom =
  (provider: OpenidClient) =>
  async (sub: string, refreshToken: string): Promise<Tokens> => {
    return provider.refresh(refreshToken, sub)
  }
