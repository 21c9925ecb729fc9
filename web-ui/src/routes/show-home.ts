import { sendPage } from '@hallpass/pages'
import { type Clock, currentTrace, type Handler } from '@hallpass/service-kit'
import type { Backends } from '../backends/index.ts'
import { traceHeaders } from '../backends/index.ts'
import type { Site } from '../pages/index.ts'
import { homePage, pagePolicy } from '../pages/index.ts'
import type { VisitorSource } from '../sessions/index.ts'

/**
 * Handles `GET /`: calls both backends for the visitor and shows their answers. Does not call them for a user without a valid
 * token: their 401 would say that the user is not logged in.
 */
export function showHome(site: Site, visitors: VisitorSource, backends: Backends, clock: Clock): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    const results =
      visitor.access?.noToken === undefined
        ? await backends.callAll(await visitor.accessToken(), traceHeaders(request))
        : []
    sendPage(response, homePage(site, visitor, results, clock(), currentTrace()?.traceId), {
      policy: pagePolicy(visitor),
    })
  }
}
