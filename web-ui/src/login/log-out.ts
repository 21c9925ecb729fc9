import { timingSafeEqual } from 'node:crypto'
import { sendPage } from '@hallpass/pages'
import { type Handler, HttpError, type Logger } from '@hallpass/service-kit'
import type { Site } from '../pages/index.ts'
import { endSession, type PolicyFor, signOutPage } from '../pages/index.ts'
import type { OpenidClient } from '../provider/index.ts'
import type { Cookies, SessionStore, VisitorSource } from '../sessions/index.ts'

/** Handles `GET /logout`: shows a form, because a link must not end a session. */
export function askToLogOut(site: Site, visitors: VisitorSource, policyFor: PolicyFor): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    sendPage(response, signOutPage(site, visitor), { policy: await policyFor(visitor) })
  }
}

export interface LogOutParts {
  readonly provider: OpenidClient
  readonly sessions: SessionStore
  readonly cookies: Cookies
  readonly log: Logger
}

/**
 * Handles `POST /logout`: ends the session here, then at the provider (OpenID Connect RP-Initiated Logout 1.0). The provider
 * receives the ID token of the session, so it need not ask the user. The form of a session that has already ended leads
 * there too: otherwise the provider's session would log the user in again without asking.
 */
export function logOut({ provider, sessions, cookies, log }: LogOutParts): Handler {
  return async (request, response) => {
    const id = cookies.read(request, 'session')
    const session = await sessions.find(id)
    const ended = session ? undefined : await sessions.findEnded(id)
    const isOurForm = same(
      (request.body as { form_token?: unknown } | undefined)?.form_token,
      session ?? ended,
    )
    if (session) {
      if (!isOurForm)
        throw new HttpError(
          403,
          'form_token_missing',
          'Missing or wrong form token, perhaps because another tab has logged in since. You are still logged in; reload and retry.',
        )
      // Another request may have ended it or renewed its tokens meanwhile.
      const { refreshToken } = (await sessions.end(id))?.tokens ?? session.tokens
      log.info({ sub: session.user.sub }, 'logged out')
      // Not awaited: a provider failure must not delay logout.
      if (refreshToken !== undefined)
        void provider
          .revoke(refreshToken)
          .catch((error: Error) => log.warn(`refresh token not revoked: ${error.message}`))
    }
    cookies.clear(response, 'session')
    const idToken = session?.tokens.idToken ?? (isOurForm ? ended?.idToken : undefined)
    const next = id === undefined ? undefined : await endSession(provider, idToken)
    response.set('cache-control', 'no-store').redirect(303, next?.href ?? '/')
  }
}

function same(given: unknown, expected: { readonly formToken: string } | undefined): boolean {
  if (typeof given !== 'string' || expected === undefined) return false
  const [a, b] = [Buffer.from(given), Buffer.from(expected.formToken)]
  return a.length === b.length && timingSafeEqual(a, b)
}
