import { sendPage } from '@hallpass/pages'
import type { Clock, Handler, Logger } from '@hallpass/service-kit'
import type { Site } from '../pages/index.ts'
import { pagePolicy, sessionsPage } from '../pages/index.ts'
import type { OpenidClient } from '../provider/index.ts'
import type { Cookies, OwnSessions, SessionStore, VisitorSource } from '../sessions/index.ts'
import { requireFormOf } from './form-token.ts'
import { revokeTokens } from './revoke-tokens.ts'

const PATH = '/sessions'

export interface OwnSessionsParts {
  readonly site: Site
  readonly visitors: VisitorSource
  readonly sessions: SessionStore
  readonly ownSessions: OwnSessions
  readonly cookies: Cookies
  readonly provider: OpenidClient
  readonly log: Logger
  readonly clock: Clock
}

/** Handles `GET /sessions`: lists the sessions of the user. Redirects to the login if there is no session. */
export function showSessions({ site, visitors, ownSessions, cookies, clock }: OwnSessionsParts): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    const { user, formToken } = visitor
    if (!user || formToken === undefined)
      return response.set('cache-control', 'no-store').redirect(303, `${site.loginUrl}?returnTo=${PATH}`)
    const list = await ownSessions.list(user.sub, cookies.read(request, 'session'))
    sendPage(response, sessionsPage(site, { ...visitor, formToken }, list, clock()), {
      policy: pagePolicy(visitor),
    })
  }
}

/**
 * Handles `POST /sessions/end`: ends one session of the user, named by its handle, or with `others` all but this one. It is
 * effective at every replica with the next request. A handle of nobody, or of another user, ends nothing.
 */
export function endSessions(parts: OwnSessionsParts): Handler {
  const { site, sessions, ownSessions, cookies, provider, log } = parts
  return async (request, response) => {
    response.set('cache-control', 'no-store')
    const id = cookies.read(request, 'session')
    const session = await sessions.find(id)
    if (id === undefined || !session) return response.redirect(303, `${site.loginUrl}?returnTo=${PATH}`)
    requireFormOf(request, session)
    const { handle, others } = request.body as { handle?: unknown; others?: unknown }
    const { sub } = session.user
    const one = typeof handle === 'string' ? await ownSessions.end(sub, handle) : undefined
    const ended = others === 'true' ? await ownSessions.endOthers(sub, id) : one ? [one] : []
    if (ended.length > 0) log.info({ sub, ended: ended.length }, 'other sessions ended by their user')
    revokeTokens(provider, ended, log)
    response.redirect(303, PATH)
  }
}
