import { sendPage } from '@hallpass/pages'
import type { Clock, Handler } from '@hallpass/service-kit'
import type { Site } from '../pages/index.ts'
import { pagePolicy, problemPage, profilePage } from '../pages/index.ts'
import type { VisitorSource } from '../sessions/index.ts'

/** Handles `GET /profile`. Redirects to the login if there is no session; behind a gateway, reports that it sent no identity. */
export function showProfile(site: Site, visitors: VisitorSource, clock: Clock): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    const { user } = visitor
    if (user)
      return sendPage(response, profilePage(site, { ...visitor, user }, clock()), {
        policy: pagePolicy(visitor),
      })
    if (site.loginUrl) return response.redirect(303, `${site.loginUrl}?returnTo=/profile`)
    const page = problemPage(site, {
      status: 401,
      code: 'no_identity',
      title: 'The gateway sent no identity',
      message:
        'A gateway in front of this service handles the login and forwards your identity in headers. This request had none: ' +
        'it bypassed the gateway, or the gateway has no login configured for this route.',
    })
    sendPage(response, page, { status: 401 })
  }
}
