import { type Clock, HttpError, type Logger } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { Cookies } from '../cookies.ts'
import type { LoginAttempts } from '../login-attempt.ts'
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
 * the login, and the session that follows has a new id, whatever cookie came along.
 */
export function finishLogin(parts: FinishLoginParts): RequestHandler {
  const { provider, attempts, sessions, cookies, sessionMaxMs, log, clock } = parts
  return async (request, response) => {
    const attempt = await attempts.open(cookies.read(request, 'login'))
    cookies.clear(response, 'login')
    if (!attempt)
      throw new HttpError(
        400,
        'no_login_attempt',
        'This login was not begun in this browser, or it took more than ten minutes.',
      )
    const query = request.originalUrl.split('?').slice(1).join('?')
    const tokens = await provider.finish(query, attempt)
    const { claims } = tokens
    // The client library insists on an ID token; without one there is nobody to log in.
    if (typeof claims?.sub !== 'string') throw new LoginRefused('no_id_token', 'There is no ID token.', false)

    sessions.end(cookies.read(request, 'session'))
    const user = userFrom(claims, new URL(String(claims.iss)).origin)
    const id = sessions.start({
      user,
      tokens: new SessionTokens(tokens, (old) => renewFor(provider, user.sub, old), clock),
      formToken: newSecret(),
      providerSession: typeof claims.sid === 'string' ? claims.sid : undefined,
    })
    cookies.set(response, 'session', id, sessionMaxMs)
    log.info({ sub: user.sub }, 'logged in')
    response.set('cache-control', 'no-store').redirect(303, attempt.returnTo)
  }
}

/** A refresh must speak of the same user as the login did (OpenID Connect Core §12.2). */
async function renewFor(provider: OpenidClient, sub: string, refreshToken: string): Promise<Tokens> {
  const tokens = await provider.refresh(refreshToken)
  if (tokens.claims !== undefined && tokens.claims.sub !== sub)
    throw new LoginRefused('other_subject', 'The renewed token speaks of another user.', false)
  return tokens
}
