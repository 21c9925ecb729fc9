import { sendPage } from '@hallpass/pages'
import type { Handler, Logger } from '@hallpass/service-kit'
import type { Response } from 'express'
import type { LogoutRequest, Site } from '../pages/index.ts'
import { leavePage, loggedOutHerePage, pagePolicy, signOutPage } from '../pages/index.ts'
import type { EndSession, OpenidClient } from '../provider/index.ts'
import { type Cookies, type SessionStore, type VisitorSource, within } from '../sessions/index.ts'
import { isFormOf, requireFormOf } from './form-token.ts'
import { revokeTokens } from './revoke-tokens.ts'

/** How long a logout waits for the provider's metadata, if they are not known yet. */
const METADATA_WAIT_MS = 2_000
/** The longest ID token to send in a URL, because servers accept about 8 KB. A longer one is always sent with POST. */
const MAX_HINT_IN_URL = 4_096

/** Handles `GET /logout`: shows a form, because a link must not end a session. */
export function askToLogOut(site: Site, visitors: VisitorSource): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    sendPage(response, signOutPage(site, visitor), { policy: pagePolicy(visitor) })
  }
}

export interface LogOutParts {
  readonly site: Site
  readonly provider: OpenidClient
  readonly sessions: SessionStore
  readonly cookies: Cookies
  /** How the browser sends the logout to the provider. */
  readonly logoutMethod: 'get' | 'post'
  readonly log: Logger
}

/**
 * Handles `POST /logout`: ends the session here, then at the provider (OpenID Connect RP-Initiated Logout 1.0). The answer is a
 * page that sends the browser there with the ID token of the session, so that the provider need not ask. The form of a session
 * that has already ended leads there too: otherwise the provider's session would log the user in again without asking.
 */
export function logOut({ site, provider, sessions, cookies, logoutMethod, log }: LogOutParts): Handler {
  return async (request, response) => {
    const id = cookies.read(request, 'session')
    const session = await sessions.find(id)
    const ended = session ? undefined : await sessions.findEnded(id)
    if (session) {
      requireFormOf(request, session)
      // Another request may have ended it or renewed its tokens meanwhile.
      revokeTokens(provider, [(await sessions.end(id)) ?? session], log)
      log.info({ sub: session.user.sub }, 'logged out')
    }
    cookies.clear(response, 'session')
    const idToken = session?.tokens.idToken ?? (isFormOf(request, ended) ? ended?.idToken : undefined)
    if (id === undefined) return response.set('cache-control', 'no-store').redirect(303, '/')
    const next = await within(
      METADATA_WAIT_MS,
      provider.endSession(idToken).catch(() => 'no_answer' as const),
      'no_answer' as const,
    )
    if (next === undefined || next === 'no_answer')
      return sendPage(response, loggedOutHerePage(site, next ?? 'no_endpoint'))
    const method = (idToken?.length ?? 0) > MAX_HINT_IN_URL ? 'post' : logoutMethod
    sendLeavePage(site, response, logoutRequest(next, method, idToken !== undefined))
  }
}

function logoutRequest(
  { endpoint, parameters }: EndSession,
  method: LogoutRequest['method'],
  isIdentified: boolean,
): LogoutRequest {
  if (method === 'post') return { method, action: endpoint.href, fields: parameters, isIdentified }
  // The fields of a form replace the query of its URL.
  const fields = { ...Object.fromEntries(endpoint.searchParams), ...parameters }
  return { method, action: endpoint.origin + endpoint.pathname, fields, isIdentified }
}

function sendLeavePage(site: Site, response: Response, request: LogoutRequest): void {
  sendPage(response, leavePage(site, request), {
    policy: {
      scripts: request.isIdentified,
      // Browsers apply the policy to redirects too, and a provider may redirect to the one that it has asked itself.
      forms: [new URL(request.action).origin, 'https:'],
    },
  })
}
