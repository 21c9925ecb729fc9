import { timingSafeEqual } from 'node:crypto'
import { sendPage } from '@hallpass/pages'
import { HttpError, type Logger } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { Cookies } from '../cookies.ts'
import type { OpenidClient } from '../openid-client.ts'
import { endSession, type PolicyFor } from '../page-policy.ts'
import type { Site } from '../pages/shell.ts'
import { signOutPage } from '../pages/sign-out.ts'
import type { SessionStore } from '../session-store.ts'
import type { VisitorSource } from '../visitor.ts'

/** `GET /logout`: asks; nothing ends by a link. */
export function askToLogOut(site: Site, visitors: VisitorSource, policyFor: PolicyFor): RequestHandler {
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
 * `POST /logout`: ends the session here, then at the provider (OpenID Connect RP-Initiated Logout 1.0), which is handed the
 * ID token of the session and so need not ask again. The form of a session that is over already leads there all the
 * same: else the next login would need no word from the user.
 */
export function logOut({ provider, sessions, cookies, log }: LogOutParts): RequestHandler {
  return async (request, response) => {
    const id = cookies.read(request, 'session')
    const session = sessions.find(id)
    const ended = session ? undefined : sessions.findEnded(id)
    const isOurForm = same(
      (request.body as { form_token?: unknown } | undefined)?.form_token,
      session ?? ended,
    )
    if (session) {
      if (!isOurForm)
        throw new HttpError(
          403,
          'form_token_missing',
          'This form is not of your present session, perhaps because another tab has logged in since, so nothing was ended.',
        )
      sessions.end(id)
      log.info({ sub: session.user.sub }, 'logged out')
      const { refreshToken } = session.tokens
      // Nobody waits for it: the session is over here, whatever the provider says.
      if (refreshToken !== undefined)
        void provider.revoke(refreshToken).catch((error: Error) => log.warn(`not revoked: ${error.message}`))
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
