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

/** `POST /logout`: ends the session here, then at the provider (OpenID Connect RP-Initiated Logout 1.0). */
export function logOut({ provider, sessions, cookies, log }: LogOutParts): RequestHandler {
  return async (request, response) => {
    const id = cookies.read(request, 'session')
    const session = sessions.find(id)
    if (session) {
      const given = (request.body as { form_token?: unknown } | undefined)?.form_token
      if (!same(given, session.formToken))
        throw new HttpError(
          403,
          'form_token_missing',
          'This form was not made by this page, so nothing was ended.',
        )
      sessions.end(id)
      log.info({ sub: session.user.sub }, 'logged out')
      const { refreshToken } = session.tokens
      // Nobody waits for it: the session is over here, whatever the provider says.
      if (refreshToken !== undefined)
        void provider.revoke(refreshToken).catch((error: Error) => log.warn(`not revoked: ${error.message}`))
    }
    cookies.clear(response, 'session')
    const next = session ? await endSession(provider) : undefined
    response.set('cache-control', 'no-store').redirect(303, next?.href ?? '/')
  }
}

function same(given: unknown, expected: string): boolean {
  if (typeof given !== 'string') return false
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
